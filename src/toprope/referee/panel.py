"""Scores of candidates on hidden draws, remembered for the slice in use. Runs inside the hub only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.referee.messages import Work
from toprope.referee.pool import ScorerPool
from toprope.space import fixed
from toprope.types import Block, Candidate, Floats, Split

CHUNK = 8  # draws per block: small enough to spread over scorers and to stop early, large enough to amortise a child


class Column(NamedTuple):
    """One candidate on the first n draws of a slice; scores are NaN where it failed."""

    scores: Floats
    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]

    @property
    def counted(self) -> Floats:
        """Scores with the floor where the candidate failed: for a measurement that has to give a number."""
        return np.where(np.isnan(self.scores), self.floors, self.scores)


class Panel:
    """Evaluates named candidates on draws 0..n-1 of one (split, slice) and keeps what it has seen."""

    def __init__(self, pool: ScorerPool, split: Split, slice_: int) -> None:
        self._pool, self._split, self._slice = pool, split, slice_
        self._scores: dict[str, dict[int, float]] = {}
        self._anchors: dict[int, tuple[float, float, int]] = {}

    def columns(
        self, candidates: Sequence[Candidate], n: int, progress: Callable[[float], None] = lambda _: None
    ) -> list[Column]:
        works, owner = self._missing(candidates, n)
        for count, done in enumerate(self._pool.run(works), 1):
            candidate, draws = owner[done.id]
            own = self._scores.setdefault(candidate, {})
            own.update(zip(draws, done.result.scores[0].tolist(), strict=True))
            anchors = zip(done.floors.tolist(), done.ceilings.tolist(), done.groups.tolist(), strict=True)
            self._anchors.update(zip(draws, anchors, strict=True))
            progress(count / len(works))
        return [self._column(c.id, n) for c in candidates]

    def _missing(self, candidates: Sequence[Candidate], n: int) -> tuple[list[Work], dict[int, tuple[str, list[int]]]]:
        works: list[Work] = []
        owner: dict[int, tuple[str, list[int]]] = {}
        for start in range(0, n, CHUNK):  # draw-major, so that a draw is made once while all candidates need it
            for candidate in candidates:
                seen = self._scores.get(candidate.id, {})
                draws = [i for i in range(start, min(start + CHUNK, n)) if i not in seen]
                if not draws:
                    continue
                tree, space = self._pool.add(candidate.tree, fixed(candidate.params))
                rows = np.zeros((1, len(candidate.params)), np.uint8)
                work = Work(len(works), Block(tree, space, rows, tuple(draws)), self._split, self._slice)
                works.append(work)
                owner[work.id] = (candidate.id, draws)
        return works, owner

    def _column(self, candidate: str, n: int) -> Column:
        scores = np.array([self._scores[candidate][i] for i in range(n)])
        floors, ceilings, groups = (np.array(x) for x in zip(*(self._anchors[i] for i in range(n)), strict=True))
        return Column(scores, floors, ceilings, groups.astype(np.int64))
