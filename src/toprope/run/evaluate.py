"""Sends blocks to scorers and writes the results to the ledger: executed at least once, recorded exactly once.

A block that the ledger already holds is not run again. Resuming needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from toprope.errors import RunError
from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Done, Work
from toprope.journal.records import BlockRecord, record
from toprope.protocols import Ledger
from toprope.run.race import Piece, Scored
from toprope.space import Space
from toprope.types import Block, Outcome, Tree, certain


class Evaluator:
    """Implements `race.Evaluate` with the dev scorers of an executor. Raises RunError if the ledger holds other
    candidates under a block's name."""

    def __init__(self, ledger: Ledger, executor: Executor, tree: Tree, space: Space) -> None:
        self._ledger, self._executor = ledger, executor
        self._tree, self._space = executor.load(tree, space)
        self._past = map(record, ledger.read("block"))  # read as the climb comes to them
        self._ahead: dict[str, BlockRecord] = {}  # those that were read before the climb came to them
        self.quarantined: set[int] = set()  # experiments with a certain incident: never sent to the gate

    def __call__(self, pieces: list[Piece]) -> Iterable[Scored]:
        records: dict[str, BlockRecord] = {}
        works: dict[int, Work] = {}
        ids = [f"{p.experiments[0]}.{p.lo}.{p.hi}" for p in pieces]
        for number, (name, piece) in enumerate(zip(ids, pieces, strict=True)):
            past = self._recorded(name)
            if past is not None:
                records[name] = self._same(past, piece)
            else:
                draws = tuple(range(piece.lo, piece.hi))
                block = Block(self._tree, self._space, piece.rows, draws, int(piece.experiments[0]))
                works[number] = Work(number, block, "dev", detail=True)
        for done in base.run(self._executor, works.values()):
            fresh = _to_record(ids[done.id], pieces[done.id], done)
            self._ledger.append(fresh)
            records[fresh.id] = fresh
        for r in records.values():
            self.quarantined.update(_accused(r))
        return [_to_scored(records[name]) for name in ids]

    def _recorded(self, name: str) -> BlockRecord | None:
        """The block of this name in the ledger. The blocks of a rung lie there in any order."""
        while name not in self._ahead and (past := next(self._past, None)) is not None:
            self._ahead[past.id] = past
        return self._ahead.pop(name, None)

    def state(self) -> list[int]:
        return sorted(self.quarantined)

    def restore(self, state: list[int]) -> None:
        self.quarantined = set(state)

    def skip(self, entries: int) -> None:
        """Passes over the blocks among the ledger's first entries, which a restored climb has behind it."""
        self._past = map(record, self._ledger.read("block", entries))

    def _same(self, past: BlockRecord, piece: Piece) -> BlockRecord:
        same = past.first_draw == piece.first_draw and np.array_equal(past.experiments, piece.experiments)
        if not same or (past.begins and not np.array_equal(past.rows, piece.rows)):
            raise RunError(
                f"block {past.id} of the ledger holds other candidates than the climber proposes now; "
                "resume with the version of toprope that made the run"
            )
        return past


def _to_record(name: str, piece: Piece, done: Done) -> BlockRecord:
    result = done.result
    ok = result.outcomes.count(Outcome.OK) == len(result.outcomes)
    return BlockRecord(
        id=name,
        experiments=piece.experiments.astype(np.uint32),
        lo=piece.lo,
        hi=piece.hi,
        rows=piece.rows if piece.lo == piece.first_draw else piece.rows[:0],
        scores=result.scores.astype(np.float32),
        outcomes={} if ok else {i: str(o) for i, o in enumerate(result.outcomes) if o is not Outcome.OK},
        messages=result.messages,
        cpu_s=round(result.cpu_s, 6),
        wall_s=round(result.wall_s, 6),
        incidents=result.incidents,
        node=done.node,
        first_draw=piece.first_draw,
    )


def _accused(r: BlockRecord) -> Iterator[int]:
    return (int(r.experiments[i]) for i, seen in r.incidents.items() if certain(seen))


def _to_scored(r: BlockRecord) -> Scored:
    return Scored(r.scores, {i: Outcome(o) for i, o in r.outcomes.items()})
