"""The promotion test: may this candidate replace the champion? It discloses one bit; a PROMOTE burns the slice.

Until the first PROMOTE on a slice a climber has heard only NOT YET, so even an adaptive climber sends one fixed list of
candidates: a union bound over attempts is exact for any adversary. The statistic is the betting e-process of
`stats.betting` on clipped paired differences; the level is `stats.spending` over runs, slices and attempts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from toprope.executors.local import LocalExecutor
from toprope.protocols import TaskSpec
from toprope.referee.panel import HiddenPanel
from toprope.stats.betting import Bet
from toprope.stats.intervals import Estimate, ratio
from toprope.stats.spending import attempt_level
from toprope.types import Candidate, Floats, Incident, certain

STEP = 32  # draws between looks; an e-process may be inspected at any time
PATIENCE, LEAST_S = 16, 1.0  # a champion's call may take this many times the expected time, and at least LEAST_S


class GateVerdict(NamedTuple):
    """The evidence behind one bit, hidden until the test is opened. level: log(1 / alpha), which log_e had to reach."""

    promoted: bool
    log_e: float
    level: float
    draws: int


class Gate:
    """The open slice of one run: champion and candidates on the same hidden draws."""

    def __init__(self, spec: TaskSpec, pool: LocalExecutor, run_number: int) -> None:
        self._spec, self._pool, self._run = spec, pool, run_number
        self._slice, self._panel = -1, HiddenPanel(pool, "val", 0)

    def judge(
        self,
        candidate: Candidate,
        champion: Candidate,
        slice_: int,
        attempt: int,
        timing_bits: float = 0.0,
        until: float = math.inf,
        limit_s: float | None = None,
    ) -> GateVerdict:
        """slice_, attempt: from 1. A candidate does not pass if it fails on any draw that it runs on, if it has a
        certain incident there (`incidents` has them all), or if its scores differ when it runs again.

        A champion that fails twice on a draw gets the floor there, so that a failure cannot keep it in place. limit_s:
        seconds that a call of the champion may take (`patience`); None: the task's limit.

        timing_bits: disclosed by the release slots of earlier answers on this slice. Weighted by 2^-bits, the union
        bound over attempts covers all that a climber can have learned from answers and their times. until: monotonic
        time after which TooLate is raised.
        """
        if slice_ != self._slice:
            self._slice, self._panel = slice_, HiddenPanel(self._pool, "val", slice_)
        if limit_s is not None:
            self._panel.limits[champion.id] = limit_s
        level = self.level(slice_, attempt, timing_bits)
        bet = Bet(self._spec.metric.clip, level)
        seen = 0
        for n in range(STEP, self._spec.splits.val_slice + STEP, STEP):
            n = min(n, self._spec.splits.val_slice)
            ours, theirs = self._pair(candidate, champion, seen, n, until)
            if np.isnan(ours).any() or not bet.update(ours - theirs):
                break
            seen = n
        if lost := self._panel.lost(champion):
            said = f"after its promotion it failed on {lost} draws of slice {slice_}, twice on each"
            self._panel.incidents.setdefault(champion.id, []).append(Incident("impure", "advisory", said))
        passed = bet.promoted and self._panel.steady(candidate, min(STEP, bet.draws), until)
        return GateVerdict(passed and not certain(self.incidents(candidate)), bet.log_e, level, bet.draws)

    def _pair(
        self, candidate: Candidate, champion: Candidate, seen: int, n: int, until: float
    ) -> tuple[Floats, Floats]:
        """(n - seen,) scores of both on draws seen..n-1; NaN where the candidate failed."""
        if self._panel.mostly_lost(champion):  # failures may be slow, and an attempt must end in time
            (ours,) = self._panel.columns([candidate], n, until=until)
            return ours.scores[seen:], ours.floors[seen:]
        ours, theirs = self._panel.columns([candidate, champion], n, until=until)
        if np.isnan(theirs.scores).any():
            theirs = self._panel.second_chance(champion, n, until)
        return ours.scores[seen:], theirs.counted[seen:]

    def patience(self, base_delay_exponent: int | None) -> float | None:
        """Seconds that a call of a champion may take that was promoted on this schedule; None: the task's limit, for a
        starter and for champions of earlier versions. All its draws were expected to end by the first release slot."""
        splits = self._spec.splits
        return (
            None
            if base_delay_exponent is None
            else max(LEAST_S, PATIENCE * splits.tick_s * 2**base_delay_exponent / (2 * splits.val_slice))
        )

    def incidents(self, candidate: Candidate) -> list[Incident]:
        """The incidents of this candidate on the open slice."""
        return self._panel.incidents.get(candidate.id, [])

    def level(self, slice_: int, attempt: int, timing_bits: float) -> float:
        return attempt_level(self._run, slice_, attempt) + timing_bits * math.log(2)

    def measure(self, champion: Candidate, slice_: int, until: float = math.inf) -> Estimate:
        """The champion's value on a fresh slice of `measure`, which is used once; a draw that it fails on counts as the
        floor. Raises TooLate after `until`."""
        n = self._spec.splits.measure_slice
        panel = HiddenPanel(self._pool, "measure", slice_)
        panel.columns([champion], n, until=until)
        column = panel.second_chance(champion, n, until)
        return ratio(column.counted, column.floors, column.ceilings)
