"""Counts the time of a child against its limit: time that it computes or sleeps, not time that it has to wait.

On a busy machine a child waits for a CPU, and another process may stop it; neither is the candidate's fault. So the
scorer looks at the child repeatedly. Of the time between two looks it counts

    the CPU time it used          if one of its threads wants a CPU (state R) or is stopped (T)
    a tenth of the time           if one of its threads waits for a disk or a page of memory (D)
    the time, up to SEEN_MAX_S    otherwise: it sleeps, or waits for something that never comes

Looks come at random moments, so a child gains nothing by computing briefly from time to time to seem busy: the share of
looks that find it busy equals its share of CPU time. A child cannot stop itself (seccomp denies signals). If the scorer
itself is stopped or starved, it looks less often, and less time counts. A child that never gets a CPU is the machine's
fault: the wait ends with Gone without an outcome. If /proc hides other users' processes (hidepid), the states are
unknown and all time counts.

Source: proc(5), clock_getcpuclockid(3).
"""

from __future__ import annotations

import math
import random
import time
from typing import Protocol

from toprope.types import Outcome

TICK_S = 0.05  # mean time between two looks
SEEN_MAX_S = 4 * TICK_S  # after a longer gap the scorer cannot know that the child slept all the time
DISK = 0.1
PATIENCE = 60  # a child that got no CPU for this many times its limit plus a second is given up
_dice = random.Random()  # a generator of its own, because a task may seed the common one


class Gone(Exception):
    """The child has ended or must end. outcome: None if the child is not to blame. pinned: the counter shows which
    variant was running. outside: another process killed it. finished: number of variants done at that moment; None: the
    counter says."""

    def __init__(
        self,
        outcome: Outcome | None,
        why: str,
        pinned: bool = True,
        *,
        outside: bool = False,
        finished: int | None = None,
    ) -> None:
        super().__init__(why)
        self.outcome, self.why, self.pinned, self.outside, self.finished = outcome, why, pinned, outside, finished


class Watched(Protocol):
    """What a scorer can observe of a child: its CPU seconds, and the states of its threads as letters of proc(5)."""

    def cpu_s(self) -> float: ...
    def states(self) -> str: ...


class Patience:
    """The time that a child has for one task. `over`: whether it is used up. `pause`: seconds until the next look."""

    def __init__(self, child: Watched, wall_s: float, cpu_s: float = math.inf) -> None:
        self.child, self.wall_s, self.cpu_s = child, wall_s, cpu_s
        self.begin()

    def begin(self) -> None:
        """Starts the time again."""
        self.spent = self.looked = 0.0
        self._start = self._cpu = self.child.cpu_s()
        self._plan()

    def spare(self, seconds: float) -> None:
        """Excludes seconds since the last look, because the child waited for an answer of ours."""
        self._seen += seconds
        self._next += seconds

    def _plan(self) -> None:
        self._seen = time.monotonic()
        self._next = self._seen + TICK_S * _dice.uniform(0.5, 1.5)

    def pause(self) -> float:
        return max(0.0, self._next - time.monotonic())

    def over(self) -> bool:
        """Looks if a look is due. After True, a caller checks once more what has come meanwhile, and then acts."""
        if (now := time.monotonic()) >= self._next:
            self._look(now - self._seen)
        return self.spent > self.wall_s or self._cpu - self._start > self.cpu_s

    def _look(self, passed: float) -> None:
        states, before, self._cpu = self.child.states(), self._cpu, self.child.cpu_s()
        seen = min(passed, SEEN_MAX_S)
        if "R" in states or "T" in states:
            self.spent += min(passed, max(0.0, self._cpu - before) / max(1, states.count("R")))
        else:
            self.spent += seen * (DISK if "D" in states else 1.0)
        self.looked += seen
        if self.looked > PATIENCE * (1.0 + self.wall_s):
            raise Gone(None, f"a child was not allowed to run: {self.looked:.0f} s brought it {self.spent:.1f} s")
        self._plan()
