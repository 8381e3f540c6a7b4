"""How much of a child's time counts against it: what it computes and what it sleeps, never what it has to wait for.

A busy machine lets a child wait for a CPU, and somebody may stop it for a while; neither is the candidate's doing. So
the scorer looks at the child again and again. Between two looks counts

    the CPU time it used          if a thread of it wants a CPU (state R) or is stopped (T): it did not rest by itself
    a tenth of the time           if a thread waits for a disk or a page of memory (D)
    the time, up to SEEN_MAX_S    otherwise: it sleeps, or waits for what nobody will send

Looks come at random moments, so a child that computes a moment now and then to look busy gains nothing: a share of the
looks finds it busy, and the same share of its time is CPU time. A child cannot stop itself (seccomp denies signals).
A scorer that is stopped or starved itself looks less often, and then less counts. A child that gets no CPU for ever is
the machine's fault: it ends the wait as Gone without an outcome. Where /proc hides other users' processes (hidepid) the
states are unknown and all time counts.

Source: proc(5), clock_getcpuclockid(3).
"""

from __future__ import annotations

import math
import random
import time
from typing import Protocol

from toprope.types import Outcome

TICK_S = 0.05  # how far apart looks are, on average
SEEN_MAX_S = 4 * TICK_S  # a scorer that did not look for longer cannot say that the child slept all the while
DISK = 0.1
PATIENCE = 60  # a child that got no CPU for this many times its limit, and a minute, is given up
_dice = random.Random()  # its own: a task may seed the common one


class Gone(Exception):
    """The child is no more. outcome None: not its own doing. pinned: the counter says which variant was at work.
    outside: somebody else killed it. finished: how many variants were done when that was decided; None: ask it."""

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
    """What can be seen of a child from outside."""

    def cpu_s(self) -> float: ...
    def states(self) -> str: ...


class Patience:
    """The time one child has for one thing. `over` says whether it is used up; `pause` how long to wait until then."""

    def __init__(self, child: Watched, wall_s: float, cpu_s: float = math.inf) -> None:
        self.child, self.wall_s, self.cpu_s = child, wall_s, cpu_s
        self.begin()

    def begin(self) -> None:
        """The whole time again."""
        self.spent = self.looked = 0.0
        self._start = self._cpu = self.child.cpu_s()
        self._plan()

    def spare(self, seconds: float) -> None:
        """So much of the time since the last look does not count: the child waited for an answer of ours."""
        self._seen += seconds
        self._next += seconds

    def _plan(self) -> None:
        self._seen = time.monotonic()
        self._next = self._seen + TICK_S * _dice.uniform(0.5, 1.5)

    def pause(self) -> float:
        return max(0.0, self._next - time.monotonic())

    def over(self) -> bool:
        """Looks, if it is time to. A caller that hears True looks once more at what came meanwhile, and then acts."""
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
