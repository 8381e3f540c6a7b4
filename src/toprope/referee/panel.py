"""Scores of candidates on hidden draws, kept for the slice in use. It runs inside the hub only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Work
from toprope.protocols import SAME
from toprope.space import several
from toprope.types import Block, Candidate, Floats, Incident, Outcome, Split

CHUNK = 8  # draws per block: small enough to spread over scorers and to stop early, large enough to amortise a child
GROUP = 16  # trusted candidates per child
GIVE_UP = 8  # draws that a champion must fail twice before it may be given up on the rest of a slice
UNSTEADY = "on the same hidden draws it had other scores when it ran again"


class Column(NamedTuple):
    """One candidate on the first n draws of a slice, each field of shape (n,); scores are NaN where it failed."""

    scores: Floats
    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]

    @property
    def counted(self) -> Floats:
        """Scores with the floor where the candidate failed, for measurements that must return a number."""
        return np.where(np.isnan(self.scores), self.floors, self.scores)


class HiddenPanel:
    """Evaluates candidates on draws 0..n-1 of one (split, slice) and keeps their scores and incidents."""

    def __init__(self, pool: LocalExecutor, split: Split, slice_: int) -> None:
        self._pool, self._split, self._slice = pool, split, slice_
        self._scores: dict[str, dict[int, float]] = {}
        self._anchors: dict[int, tuple[float, float, int]] = {}
        self.incidents: dict[str, list[Incident]] = {}  # candidate -> its incidents
        self.failures: dict[str, Outcome] = {}  # candidate -> how it first failed
        self.limits: dict[str, float] = {}  # candidate -> seconds of a call, if below the task's limit
        self._retried: dict[str, set[int]] = {}  # candidate -> draws on which it failed and was run again

    def columns(
        self,
        candidates: Sequence[Candidate],
        n: int,
        progress: Callable[[float], None] = lambda _: None,
        until: float = math.inf,
    ) -> list[Column]:
        """Runs every candidate in children of its own. Raises TooLate when the monotonic clock passes `until`."""
        return self.grouped([[c] for c in candidates], n, progress, until)

    def grouped(
        self,
        groups: Sequence[Sequence[Candidate]],
        n: int,
        progress: Callable[[float], None] = lambda _: None,
        until: float = math.inf,
        chunk: int = CHUNK,
    ) -> list[Column]:
        """Runs the candidates of a group, which have the same tree and parameter names, in shared children. This is
        cheaper, and only for trusted code."""
        works, owner = self._missing(groups, n, chunk)
        for count, done in enumerate(self._pool.run(works, until), 1):
            group, draws = owner[done.id]
            for candidate, scores in zip(group, done.result.scores.tolist(), strict=True):
                self._scores.setdefault(candidate.id, {}).update(zip(draws, scores, strict=True))
            for candidate, outcome in zip(group, done.result.outcomes, strict=True):
                if outcome is not Outcome.OK:
                    self.failures.setdefault(candidate.id, outcome)
            for i, seen in done.result.incidents.items():
                self.incidents.setdefault(group[i].id, []).extend(seen)
            anchors = zip(done.floors.tolist(), done.ceilings.tolist(), done.groups.tolist(), strict=True)
            self._anchors.update(zip(draws, anchors, strict=True))
            progress(count / len(works))
        return [self._column(c.id, n) for group in groups for c in group]

    def second_chance(self, candidate: Candidate, n: int, until: float = math.inf) -> Column:
        """Runs the candidate again, in isolation, on every draw on which it failed, and returns its column. A failure
        ends a block of several draws, so only a draw that fails again counts as failed."""
        scores, retried = self._scores[candidate.id], self._retried.setdefault(candidate.id, set())
        if failed := [i for i in range(n) if math.isnan(scores[i]) and i not in retried]:
            for i in failed:
                del scores[i]
            self.grouped([[candidate]], n, until=until, chunk=1)
            retried.update(failed)
        return self._column(candidate.id, n)

    def lost(self, candidate: Candidate) -> int:
        """Number of draws on which it failed twice."""
        return sum(math.isnan(self._scores[candidate.id][i]) for i in self._retried.get(candidate.id, ()))

    def mostly_lost(self, candidate: Candidate) -> bool:
        """Whether it failed twice on at least GIVE_UP draws and on half of all its draws, so that more draws would show
        nothing new."""
        lost = self.lost(candidate)
        return lost >= GIVE_UP and 2 * lost >= len(self._scores[candidate.id])

    def steady(self, candidate: Candidate, n: int, until: float = math.inf) -> bool:
        """Whether it has the same scores when it runs on the first n draws again. A difference is kept as an
        incident."""
        fresh = HiddenPanel(self._pool, self._split, self._slice)
        (again,) = fresh.columns([candidate], n, until=until)
        self.incidents.setdefault(candidate.id, []).extend(fresh.incidents.get(candidate.id, []))
        same = bool(np.allclose(again.scores, self._column(candidate.id, n).scores, atol=SAME, equal_nan=True))
        if not same:
            self.incidents[candidate.id].append(Incident("impure", "advisory", UNSTEADY))
        return same

    def _missing(
        self, groups: Sequence[Sequence[Candidate]], n: int, chunk: int
    ) -> tuple[list[Work], dict[int, tuple[Sequence[Candidate], list[int]]]]:
        """The work that is still missing, a few draws at a time, ordered by draw, so that a draw is made once for all
        candidates."""
        works: list[Work] = []
        owner: dict[int, tuple[Sequence[Candidate], list[int]]] = {}
        for start in range(0, n, chunk):
            for group in groups:
                seen = self._scores.get(group[0].id, {})
                draws = [i for i in range(start, min(start + chunk, n)) if i not in seen]
                if not draws:
                    continue
                space, rows = several([c.params for c in group])
                tree, digest = self._pool.load(group[0].tree, space)
                block, limit = Block(tree, digest, rows, tuple(draws)), self.limits.get(group[0].id)
                work = Work(len(works), block, self._split, self._slice, limit_s=limit)
                works.append(work)
                owner[work.id] = (group, draws)
        return works, owner

    def _column(self, candidate: str, n: int) -> Column:
        scores = np.array([self._scores[candidate][i] for i in range(n)])
        floors, ceilings, groups = (np.array(x) for x in zip(*(self._anchors[i] for i in range(n)), strict=True))
        return Column(scores, floors, ceilings, groups.astype(np.int64))


def by_kind(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Groups of candidates that may share a block: same files and parameter names, at most GROUP each, so that cores
    share the work."""
    kinds: dict[tuple[str, ...], list[list[Candidate]]] = {}
    for candidate in candidates:
        groups = kinds.setdefault((candidate.tree.digest, *sorted(candidate.params)), [[]])
        if len(groups[-1]) == GROUP:
            groups.append([])
        groups[-1].append(candidate)
    return [group for groups in kinds.values() for group in groups]
