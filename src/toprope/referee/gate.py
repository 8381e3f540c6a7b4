"""The promotion test: may this candidate replace the champion? One bit leaves, and a PROMOTE burns the slice.

Until the first PROMOTE on a slice a climber has heard only NOT YET, so however it adapts, it has sent one fixed list of
candidates: a union bound over attempts is exact for any adversary. The statistic is the betting e-process of
`stats.betting` on clipped paired differences; the level is `stats.spending` over runs, slices and attempts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from toprope.protocols import TaskSpec
from toprope.referee.panel import Panel
from toprope.referee.pool import ScorerPool
from toprope.stats.betting import Bet
from toprope.stats.intervals import Estimate, ratio
from toprope.stats.spending import attempt_level
from toprope.types import Candidate, Incident, certain

STEP = 32  # draws between looks; the e-process may be looked at at any time


class Verdict(NamedTuple):
    """What stood behind one bit; hidden until the test is opened. level: log(1 / alpha) that log_e had to reach."""

    promoted: bool
    log_e: float
    level: float
    draws: int


class Gate:
    """The open slice of one run: champion and candidates on the same hidden draws."""

    def __init__(self, spec: TaskSpec, pool: ScorerPool, run_number: int) -> None:
        self._spec, self._pool, self._run = spec, pool, run_number
        self._slice, self._panel = -1, Panel(pool, "val", 0)

    def judge(
        self,
        candidate: Candidate,
        champion: Candidate,
        slice_: int,
        attempt: int,
        told: float = 0.0,
        until: float = math.inf,
    ) -> Verdict:
        """slice_, attempt: from 1. A candidate that fails on any draw it meets does not pass, nor one with a certain
        incident there (`incidents` has them all).

        told: bits that the ticks of earlier answers on this slice disclosed. Weighted by 2^-bits, the union bound over
        attempts is one over everything a climber can have heard and seen on the clock. until: raises TooLate.
        """
        if slice_ != self._slice:
            self._slice, self._panel = slice_, Panel(self._pool, "val", slice_)
        level = self.level(slice_, attempt, told)
        bet = Bet(self._spec.metric.clip, level)
        seen = 0
        for n in range(STEP, self._spec.splits.val_slice + STEP, STEP):
            n = min(n, self._spec.splits.val_slice)
            ours, theirs = self._panel.columns([candidate, champion], n, until=until)
            difference = (ours.scores - theirs.scores)[seen:]
            if difference.size and not (difference == difference).all():
                break
            if not bet.update(difference):
                break
            seen = n
        accused = certain(self.incidents(candidate))
        return Verdict(bet.promoted and not accused, bet.log_e, level, bet.draws)

    def incidents(self, candidate: Candidate) -> list[Incident]:
        """What was seen of this candidate on the open slice."""
        return self._panel.incidents.get(candidate.id, [])

    def level(self, slice_: int, attempt: int, told: float) -> float:
        return attempt_level(self._run, slice_, attempt) + told * math.log(2)

    def measure(self, champion: Candidate, slice_: int, until: float = math.inf) -> Estimate:
        """The champion's value on a fresh slice of `measure`, shown once; a draw it fails on counts as the floor."""
        n = self._spec.splits.measure_slice
        (column,) = Panel(self._pool, "measure", slice_).columns([champion], n, until=until)
        return ratio(column.counted, column.floors, column.ceilings)
