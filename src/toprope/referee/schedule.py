"""When answers of the gate leave: at ticks of a public schedule, never when the work happens to be done.

How long hidden work takes is a function of hidden data: a hopeless candidate is stopped early, a candidate can sleep
where it meets a certain label, a scorer can die. An answer leaves at the first tick after its work: 1, 2, 4, ... times
a first tick that was fixed in public beforehand. Which tick it was is all the clock can tell; `stats.leak` counts it
and the gate charges it. Work that misses the last tick is ended, and the answer is NOT YET.
"""

from __future__ import annotations

import math
import time

from toprope.stats.leak import RELEASE_SLOTS

SLACK_S = 0.05  # to write the answer down and send it
MOST_DELAY_EXPONENT = 12


class Schedule:
    """The ticks of one question, from the moment it was asked."""

    def __init__(self, first_s: float, enforced: bool = True, release_slots: int = RELEASE_SLOTS) -> None:
        """first_s: seconds from the question to the first tick. ticks: how many there are. enforced: False only in
        tests that show what leaks."""
        self._start, self._first, self._enforced, self._last = time.monotonic(), first_s, enforced, release_slots - 1
        self.end = self._at(self._last) - SLACK_S if enforced else math.inf

    def release_slot(self) -> int:
        """The next tick from now on, the last one at most."""
        now = time.monotonic() + SLACK_S
        return next((k for k in range(self._last) if now <= self._at(k)), self._last)

    def wait(self, release_slot: int) -> None:
        """Until the tick; not at all if it has passed."""
        if self._enforced:
            time.sleep(max(0.0, self._at(release_slot) - time.monotonic()))

    def _at(self, release_slot: int) -> float:
        return self._start + self._first * 2.0**release_slot


def base_delay_exponent(expected_s: float, tick_s: float) -> int:
    """The smallest power of two times tick_s that is no less than what is expected, from public work; at most MOST."""
    return next((k for k in range(MOST_DELAY_EXPONENT) if tick_s * 2**k >= expected_s), MOST_DELAY_EXPONENT)
