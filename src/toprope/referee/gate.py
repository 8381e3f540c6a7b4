"""The promotion test: may this candidate replace the champion? One bit leaves, and a PROMOTE burns the slice.

Until the first PROMOTE on a slice a climber has heard only NOT YET, so however it adapts, it has sent one fixed list of
candidates: a union bound over attempts is exact for any adversary. The statistic is the betting e-process of
`stats.betting` on clipped paired differences; the level is `stats.spending` over runs, slices and attempts.
"""

from __future__ import annotations

from toprope.protocols import TaskSpec
from toprope.referee.panel import Panel
from toprope.referee.pool import ScorerPool
from toprope.stats.betting import Bet
from toprope.stats.intervals import Estimate, ratio
from toprope.stats.spending import attempt_level
from toprope.types import Candidate, Incident

STEP = 32  # draws between looks; the e-process may be looked at at any time


class Gate:
    """The open slice of one run: champion and candidates on the same hidden draws."""

    def __init__(self, spec: TaskSpec, pool: ScorerPool, run_number: int) -> None:
        self._spec, self._pool, self._run = spec, pool, run_number
        self._slice, self._panel = -1, Panel(pool, "val", 0)

    def passes(self, candidate: Candidate, champion: Candidate, slice_: int, attempt: int) -> bool:
        """slice_, attempt: from 1. A candidate that fails on any draw it meets does not pass, nor one
        with a certain incident there (`incidents` has them all)."""
        if slice_ != self._slice:
            self._slice, self._panel = slice_, Panel(self._pool, "val", slice_)
        bet = Bet(self._spec.metric.clip, attempt_level(self._run, slice_, attempt))
        seen = 0
        for n in range(STEP, self._spec.splits.val_slice + STEP, STEP):
            n = min(n, self._spec.splits.val_slice)
            ours, theirs = self._panel.columns([candidate, champion], n)
            difference = (ours.scores - theirs.scores)[seen:]
            if difference.size and not (difference == difference).all():
                return False
            if not bet.update(difference):
                break
            seen = n
        return bet.promoted and all(i.severity != "certain" for i in self.incidents(candidate))

    def incidents(self, candidate: Candidate) -> list[Incident]:
        """What was seen of this candidate on the open slice."""
        return self._panel.incidents.get(candidate.id, [])

    def measure(self, champion: Candidate, slice_: int) -> Estimate:
        """The champion's value on a fresh slice of `measure`, shown once; a draw it fails on counts as the floor."""
        n = self._spec.splits.measure_slice
        (column,) = Panel(self._pool, "measure", slice_).columns([champion], n)
        return ratio(column.counted, column.floors, column.ceilings)
