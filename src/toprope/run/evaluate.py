"""Blocks to scorers and into the ledger: executed at least once, recorded exactly once.

A block that the ledger already holds is not run again; that is all that resuming needs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import RunError
from toprope.journal.records import BlockRecord, record
from toprope.protocols import Ledger
from toprope.referee.messages import Done, Work
from toprope.referee.pool import ScorerPool
from toprope.run.race import Piece, Scored
from toprope.space import Space
from toprope.types import Block, Codes, Incident, Outcome, Tree, certain, merged


class Evaluator:
    """race.Evaluate over a pool of dev scorers."""

    def __init__(
        self,
        ledger: Ledger,
        pool: ScorerPool,
        tree: Tree,
        space: Space,
        whole: bool = False,
    ) -> None:
        """whole: a candidate that runs alone meets all draws in one child, for a task whose tallies need them."""
        self._ledger, self._pool, self._whole = ledger, pool, whole
        self._tree, self._space = pool.add(tree, space)
        self._recorded = {r.id: r for r in map(record, ledger.read("block"))}
        self.quarantined: set[int] = (
            set()
        )  # experiments with a certain incident: their scores stand, no attempt follows

    def __call__(self, pieces: list[Piece]) -> Iterable[Scored]:
        records: dict[str, BlockRecord] = {}
        works: dict[int, Work] = {}
        ids = [f"{p.experiments[0]}.{p.lo}.{p.hi}" for p in pieces]
        for number, (name, piece) in enumerate(zip(ids, pieces, strict=True)):
            past = self._recorded.pop(name, None)
            if past is not None:
                records[name] = self._same(past, piece)
            else:
                draws = tuple(range(piece.lo, piece.hi))
                block = Block(self._tree, self._space, piece.rows, draws, int(piece.experiments[0]))
                works[number] = Work(number, block, "dev", detail=True)
        for done in self._pool.run(works.values()):
            fresh = _to_record(ids[done.id], pieces[done.id], done)
            self._ledger.append(fresh)
            records[fresh.id] = fresh
        for r in records.values():
            self.quarantined.update(_accused(r))
        return [_to_scored(records[name]) for name in ids]

    def _same(self, past: BlockRecord, piece: Piece) -> BlockRecord:
        rows_differ = past.lo == 0 and not np.array_equal(past.rows, piece.rows)
        if rows_differ or not np.array_equal(past.experiments, piece.experiments):
            raise RunError(
                f"block {past.id} of the ledger holds other candidates than the climber proposes now; "
                "resume with the version of toprope that made the run"
            )
        return past

    def alone(self, row: Codes, draws: int, replicate: int = 0) -> Lone:
        """What `lone` says of one row of the run's own space."""
        return lone(self._pool, (self._tree, self._space), row, draws, replicate, self._whole)


class Lone(NamedTuple):
    """scores: (draws,) float32. seconds: what it took, and what its questions to a model would have taken anew."""

    scores: NDArray[np.float32]
    incidents: list[Incident]
    seconds: float


def lone(
    pool: ScorerPool, names: tuple[str, str], row: Codes, draws: int, replicate: int = 0, whole: bool = False
) -> Lone:
    """The candidate's dev scores in fresh children, a few draws each, with no neighbours; NaN where it failed. And what
    tripwires and honeypots saw, which can be pinned on nobody else here. names: digests of tree and space. replicate:
    other candidate seeds. whole: all draws in one piece, for tasks that judge what only many together show."""
    start, asked = time.monotonic(), pool.asked
    step = draws if whole else 8
    cuts = [tuple(range(at, min(at + step, draws))) for at in range(0, draws, step)]
    block = Block(*names, row[None, :], ())
    works = [
        Work(i, msgspec.structs.replace(block, draws=cut), "dev", replicate=replicate) for i, cut in enumerate(cuts)
    ]
    scores = np.full(draws, np.nan, dtype=np.float32)
    seen: list[Incident] = []
    for done in pool.run(works):
        scores[list(cuts[done.id])] = done.result.scores[0]
        seen += done.result.incidents.get(0, [])
    return Lone(scores, merged(seen), time.monotonic() - start + pool.waiting(pool.asked - asked))


def _to_record(name: str, piece: Piece, done: Done) -> BlockRecord:
    result = done.result
    return BlockRecord(
        id=name,
        experiments=piece.experiments.astype(np.uint32),
        lo=piece.lo,
        hi=piece.hi,
        rows=piece.rows if piece.lo == 0 else piece.rows[:0],
        scores=result.scores.astype(np.float32),
        outcomes={i: str(o) for i, o in enumerate(result.outcomes) if o is not Outcome.OK},
        messages=result.messages,
        cpu_s=round(result.cpu_s, 6),
        wall_s=round(result.wall_s, 6),
        incidents=result.incidents,
    )


def _accused(r: BlockRecord) -> Iterator[int]:
    return (int(r.experiments[i]) for i, seen in r.incidents.items() if certain(seen))


def _to_scored(r: BlockRecord) -> Scored:
    outcomes = [Outcome.OK] * len(r.experiments)
    for i, o in r.outcomes.items():
        outcomes[i] = Outcome(o)
    return Scored(r.scores, outcomes)
