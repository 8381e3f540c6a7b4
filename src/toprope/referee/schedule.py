"""When answers of the gate leave: at release slots of a public schedule, independent of when the work is done.

The duration of hidden work depends on hidden data: a hopeless candidate is stopped early, a candidate can sleep when it
sees a certain label, a scorer can die. An answer leaves at the first slot after its work: 1, 2, 4, ... times a delay
that was fixed in public beforehand. Timing can reveal only the number of the slot; `stats.leak` counts that and the
gate charges it. Work that misses the last slot is ended, and the answer is NOT YET.
"""

from __future__ import annotations

import math
import time

from toprope.stats.leak import RELEASE_SLOTS

SLACK_S = 0.05  # for storing and sending the answer
MOST_DELAY_EXPONENT = 12


class Schedule:
    """The release slots of one question, counted from the moment it is asked."""

    def __init__(self, first_s: float, enforced: bool = True, release_slots: int = RELEASE_SLOTS) -> None:
        """first_s: seconds from the question to the first slot. release_slots: number of slots. enforced: False only in
        tests that show what leaks."""
        self._start, self._first, self._enforced, self._last = time.monotonic(), first_s, enforced, release_slots - 1
        self.end = self._at(self._last) - SLACK_S if enforced else math.inf

    def release_slot(self) -> int:
        """The number of the next slot, at most the last one."""
        now = time.monotonic() + SLACK_S
        return next((k for k in range(self._last) if now <= self._at(k)), self._last)

    def wait(self, release_slot: int) -> None:
        """Waits until the slot; returns at once if it has passed."""
        if self._enforced:
            time.sleep(max(0.0, self._at(release_slot) - time.monotonic()))

    def _at(self, release_slot: int) -> float:
        return self._start + self._first * 2.0**release_slot


def base_delay_exponent(expected_s: float, tick_s: float) -> int:
    """The smallest k with tick_s * 2**k >= expected_s, at most MOST_DELAY_EXPONENT. expected_s: estimated from public
    work."""
    return next((k for k in range(MOST_DELAY_EXPONENT) if tick_s * 2**k >= expected_s), MOST_DELAY_EXPONENT)
