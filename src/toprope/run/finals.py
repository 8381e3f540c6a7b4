"""Finals: before an attempt at the gate the best candidates meet practice draws that no experiment has seen.

A long climb learns its practice draws by heart, so its best candidates look better there than they are, and the very
best one is chosen for its luck as much as for its skill. Fresh draws cost a little and cannot be learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import RunError
from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Work
from toprope.journal.records import FinalsRecord, record
from toprope.protocols import Ledger
from toprope.run.race import BLOCKS, Finalist
from toprope.space import Space
from toprope.types import Block, Floats, Tree


class Gains(NamedTuple):
    """Paired differences to the champion over all practice draws that both have seen, (k,) each, in the metric's own
    unit. mean, se: NaN for a candidate that failed in the finals."""

    mean: Floats
    se: Floats


class Finals:
    """Holds the finals of one climb. Recorded ones are read from the ledger instead of held again. held: how many."""

    def __init__(self, ledger: Ledger, executor: Executor, tree: Tree, space: Space, draws: int) -> None:
        """draws: fresh practice draws of each final."""
        self._ledger, self._executor, self._draws = ledger, executor, draws
        self._names = executor.load(tree, space)
        self._recorded = {r.number: r for r in map(record, ledger.read("finals"))}
        self.held = 0

    def hold(self, finalists: Sequence[Finalist], champion: Finalist) -> Gains:
        """Plays champion and finalists on fresh draws, and compares them there and on the draws that they know. Raises
        RunError if the ledger holds these finals with others."""
        self.held += 1
        players = [champion, *finalists]
        numbers = np.array([f.experiment for f in players], np.uint32)
        past = self._recorded.get(self.held)
        if past is not None and not np.array_equal(past.experiments, numbers):
            raise RunError(
                f"finals {self.held} of the ledger were held by other candidates than those that are best now; "
                "resume with the version of toprope that made the run"
            )
        if past is None:
            past = FinalsRecord(self.held, numbers, self._played([f.row for f in players]))
            self._ledger.append(past)
        known = np.array([f.scores for f in players], np.float64)
        seen = np.concatenate([known, past.scores.astype(np.float64)], axis=1)
        gains = seen[1:] - seen[0]
        return Gains(gains.mean(1), gains.std(1) / np.sqrt(gains.shape[1]))

    def _played(self, rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(k, draws) scores on the draws of this final, a slice of dev of its own."""
        spans = [span.tolist() for span in np.array_split(np.arange(self._draws), BLOCKS) if len(span)]
        works = [
            Work(i, Block(*self._names, np.array(rows), tuple(span)), "dev", slice=self.held)
            for i, span in enumerate(spans)
        ]
        scores = np.full((len(rows), self._draws), np.nan, np.float32)
        for done in base.run(self._executor, works):
            scores[:, spans[done.id]] = done.result.scores
        return scores
