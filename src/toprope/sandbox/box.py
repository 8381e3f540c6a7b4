"""`Sandbox.run`: one author's variants x some cases, in as few children as their behaviour allows.

    for each case: dialogue yields a Round -> the child plays it on every live variant -> columns go back in -> outputs

This module does not know tasks and computes no scores: it returns data that fits the declared schema, or outcomes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError, WorkerDied
from toprope.protocols import Outputs
from toprope.sandbox import ulimits
from toprope.sandbox.job import Case as Case
from toprope.sandbox.job import Job as Job
from toprope.sandbox.job import JobResult as JobResult
from toprope.sandbox.play import Play
from toprope.sandbox.process import ChildEnded, Zygote
from toprope.types import Limits, Outcome

TIERS = ("linux-full", "linux-landlock")  # best first
LAYERS = frozenset({"namespaces", "landlock", "seccomp", "rlimits", "fds", "identity"})  # in the kernel
CHECKS = frozenset({"nonce", "schema", "kill"})  # in the scorer

START_TRIES = 3


class Sandbox:
    """One zygote, one core, one child at a time. A context manager. Use it from one thread.

    tier: "linux-full" (every layer), "linux-landlock" (every layer but namespaces), or "none" (no layer at all; results
    are marked unprotected). private: children read copies of their own, so that no other process shares their pages in
    the kernel's cache. off: layers switched off, for tests which prove that each layer matters. Raises NoProtection if
    a layer cannot be set up, MachineFault if the limits of this process are too low.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        profile: str = "numpy",
        tier: str = "linux-landlock",
        off: frozenset[str] = frozenset(),
        private: bool = False,
    ) -> None:
        if tier not in (*TIERS, "none"):
            raise UsageError(f"sandbox tier {tier!r} is not known; expected {', '.join(TIERS)} or none")
        known = LAYERS | CHECKS
        if unknown := off - known:
            raise UsageError(f"sandbox layers {sorted(unknown)} are not known; expected some of {sorted(known)}")
        ulimits.require(limits.memory_mb)
        self.limits, self.profile, self.tier, self.private = limits, profile, tier, private
        self.off = off | (LAYERS if tier == "none" else frozenset())
        self.zygote = self._started()

    @property
    def zygote_pid(self) -> int:
        return self.zygote.pid

    @property
    def protection(self) -> dict[str, Any]:
        """The record stored with every result."""
        said = self.zygote.record
        return {
            "tier": self.tier,
            "protected": not self.off,
            "off": sorted(self.off),
            "landlock_abi": said["landlock_abi"],
            "seccomp": said["filters"],
            "namespaces": said["namespaces"],
            "identity": said["identity"],
            "uid": said["uid"],
            "readable": "interpreter, standard library, shared libraries, " + self.profile,
            "network": "denied" if "seccomp" not in self.off or said["namespaces"] else "open",
            "scratch": "none",
            "limits": {
                "wall_s": self.limits.wall_s,
                "cpu_s": self.limits.cpu_s,
                "memory_mb": self.limits.memory_mb,
            },
        }

    def run(
        self,
        job: Job,
        cases: Sequence[Case],
        on_case: Callable[[int, Outputs, NDArray[np.bool_]], None],
    ) -> JobResult:
        """Plays every case, and calls `on_case(index, outputs, alive)` after each one that some variant survived.

        Raises WorkerDied if the zygote ends twice within this job, MachineFault if no child can be made or set up.
        """
        began = time.monotonic()
        with Play(self, job, cases) as play:
            for index, case in enumerate(cases):
                if not play.alive.any() or not play.converse(case, partial(on_case, index)):
                    break
        outcomes = [o or Outcome.OK for o in play.outcomes]
        messages = play.remarks | play.messages
        return JobResult(outcomes, messages, play.cpu_s, time.monotonic() - began, play.incidents)

    @contextlib.contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """Inside, calls may take at most this many wall and CPU seconds, if that is less than the box's limits."""
        usual = self.limits
        if seconds is not None:
            less = {name: min(getattr(usual, name), seconds) for name in ("wall_s", "cpu_s")}
            self.limits = msgspec.structs.replace(usual, **less)
        try:
            yield
        finally:
            self.limits = usual

    def bare_fork(self) -> ChildEnded:
        """Fork the zygote and exit at once: the benchmark's unit."""
        return self.zygote.bare_fork()

    def restart(self) -> None:
        self.zygote.close()
        self.zygote = self._started()

    def _started(self) -> Zygote:
        """A zygote that is ready. If one is killed from outside while it starts, which says nothing about the layers,
        another is started."""
        full = self.tier == "linux-full" and "namespaces" not in self.off
        for _ in range(START_TRIES - 1):
            try:
                return Zygote(self.profile, self.off, full, self.private)
            except WorkerDied:
                continue
        return Zygote(self.profile, self.off, full, self.private)

    def close(self) -> None:
        self.zygote.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
