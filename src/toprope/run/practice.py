"""Results of authors' candidates on practice draws, read from the ledger's blocks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from toprope.errors import UsageError
from toprope.journal.records import Author, BlockRecord, Opening
from toprope.run.experiment import size
from toprope.stats.intervals import ratio
from toprope.types import Anchors, Candidate, Floats, Outcome, certain

STARTER = "starter"  # the author of experiment 0


class PracticeResult(NamedTuple):
    """One experiment. id: of its candidate. parent: id of the candidate it was made from, or "". value: normalised, NaN
    if not ok. scores: (draws,). message: the candidate's own error text. seconds: of scorers."""

    experiment: int
    author: str
    id: str
    candidate: Candidate
    parent: str
    outcome: Outcome
    value: float
    scores: Floats
    message: str
    quarantined: bool
    seconds: float


class Practice:
    """Every experiment of a run with authors, in order. lock: guards `judged`, which callers of `add` must hold."""

    def __init__(self, opening: Opening, lock: AbstractContextManager[object]) -> None:
        self._opening, self._lock = opening, lock
        self._errors: dict[str, float] = {}
        self.anchors = Anchors(opening.floors, opening.ceilings)
        self.judged: list[PracticeResult] = []

    def add(self, block: BlockRecord) -> PracticeResult:
        """The experiment that a block of one records."""
        o = self._opening
        scores = block.scores[0].astype(np.float64)
        author = block.author or Author(STARTER, Candidate(o.tree, o.space.decode(block.rows[0])))
        judged = PracticeResult(
            int(block.experiments[0]),
            author.name,
            author.candidate.id,
            author.candidate,
            author.parent,
            Outcome(block.outcomes.get(0, "ok")),
            float(self.anchors.value(scores)),
            scores,
            block.messages.get(0, ""),
            certain(block.incidents.get(0, [])),
            block.wall_s,
        )
        self.judged.append(judged)
        return judged

    def known(self, candidate: str) -> PracticeResult | None:
        """The first experiment with this candidate."""
        with self._lock:
            return next((j for j in self.judged if j.id == candidate), None)

    def of(self, author: str) -> list[PracticeResult]:
        with self._lock:
            return [j for j in self.judged if j.author == author]

    def improved(self) -> int:
        """Experiments of the run when the best practice value was found; 0 before any ended well."""
        with self._lock:
            best, since = float("-inf"), 0
            for j in self.judged:
                if j.outcome is Outcome.OK and j.value > best:
                    best, since = j.value, j.experiment + 1
            return since

    def error(self, judged: PracticeResult) -> float:
        """Standard error of its value over dev draws; 0 if there is only one draw."""
        if judged.id not in self._errors:
            known = len(judged.scores) > 1
            self._errors[judged.id] = ratio(judged.scores, *self.anchors).se if known else 0.0
        return self._errors[judged.id]

    def leaderboard(self) -> list[PracticeResult]:
        """Every distinct candidate that ran on all of dev, best first; ties: less code first, then the earlier one."""
        best: dict[str, PracticeResult] = {}
        with self._lock:
            for j in self.judged:
                if j.outcome is Outcome.OK:
                    best.setdefault(j.id, j)
        return sorted(best.values(), key=lambda j: (-j.value, size(j.candidate), j.experiment))

    def find(self, name: str) -> PracticeResult:
        """The first experiment with the candidate of this id, or of an id that begins so. Raises UsageError for fewer
        than 6 characters, and if no candidate or several match."""
        with self._lock:
            found = {j.id: j for j in self.judged if j.id.startswith(name)} if len(name) >= 6 else {}
        if len(found) != 1:
            raise UsageError(
                f"candidate {name[:80]!r} names {len(found)} of this run; give 6 characters or more of an id"
            )
        return next(iter(found.values()))
