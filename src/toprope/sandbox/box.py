"""Runs a block: one author's variants through the dialogues of some draws, in as few children as they survive in.

A child that hangs, crashes or breaks the rules is ended; the variant that was running is marked, and the others go on in
a new child from the same draw, so a neighbour's outcome never depends on who else was in the block.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import WorkerDied
from toprope.protocols import Dialogue, Outputs
from toprope.sandbox.frames import TEXT, Answers, Failure, hello
from toprope.sandbox.memory import PublicMemory
from toprope.sandbox.zygote import Ended, Zygote, kill
from toprope.space import Space
from toprope.types import Codes, Limits, Outcome, Round

LOAD_S = 10.0  # wall seconds a candidate's files may take to load
_LENGTH = struct.Struct("<I")


class Job(NamedTuple):
    """files, space, rows: one author's variants. entries: functions they may define. detail: return error texts."""

    files: dict[str, bytes]
    space: Space
    rows: Codes
    entries: Sequence[str]
    detail: bool


class Case(NamedTuple):
    """One draw: its public part, the seed of the candidate's rng, and the conversation about it."""

    public: PublicMemory
    seed: int
    dialogue: Callable[[frozenset[str]], Dialogue]


class JobResult(NamedTuple):
    outcomes: list[Outcome]
    messages: dict[int, str]
    cpu_s: float
    wall_s: float
    evidence: dict[int, str]


OnCase = Callable[[int, Outputs, NDArray[np.bool_]], None]


class _Broken(Exception):
    """The child is gone or must go: who was running, how that variant's experiment ends."""

    def __init__(self, failure: Failure, culprit: int | None) -> None:
        self.failure, self.culprit = failure, culprit


class Sandbox:
    """One zygote, one core, one child at a time. `off`: layers left out, for tests that prove the others."""

    def __init__(
        self, limits: Limits, *, profile: str = "numpy", tier: str = "linux-landlock", off: frozenset[str] = frozenset()
    ) -> None:
        self._limits, self._start = limits, lambda: Zygote(limits, profile, tier, off)
        self.off = off
        self._zygote = self._start()
        self.protection = self._zygote.protection

    @property
    def zygote_pid(self) -> int:
        return self._zygote.process.pid

    def run(self, job: Job, cases: Sequence[Case], on_case: OnCase) -> JobResult:
        """Hands on_case(i, outputs, alive) every case as it completes; alive: (k,) who has answered everything so far.

        Raises WorkerDied if the zygote keeps dying.
        """
        return _Run(self, job, cases, on_case).go()

    def restart(self) -> None:
        self._zygote.close()
        self._zygote = self._start()

    def close(self) -> None:
        self._zygote.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Run:
    """One call of Sandbox.run."""

    def __init__(self, box: Sandbox, job: Job, cases: Sequence[Case], on_case: OnCase) -> None:
        self.box, self.job, self.cases, self.on_case = box, job, cases, on_case
        self.k = len(job.rows)
        self.failures: dict[int, Failure] = {}
        self.alive = np.ones(self.k, dtype=bool)
        self.cpu_s = 0.0
        self.child: _Child | None = None
        self.zygotes_lost = 0

    def go(self) -> JobResult:
        started = time.monotonic()
        for i, case in enumerate(self.cases):
            if not self.alive.any():
                break
            self._case(i, case)
        self._end_child()
        outcomes = [self.failures[v].outcome if v in self.failures else Outcome.OK for v in range(self.k)]
        messages = {v: f.message for v, f in self.failures.items() if f.message}
        return JobResult(
            outcomes,
            messages if self.job.detail else {},
            self.cpu_s,
            time.monotonic() - started,
            {v: f.message for v, f in self.failures.items() if f.outcome is Outcome.VIOLATION},
        )

    def _case(self, i: int, case: Case) -> None:
        """Until everyone still alive has been through the whole dialogue."""
        while self.alive.any():
            try:
                self._ensure_child()
                assert self.child is not None
                self.child.open_case(case)
                outputs = self._talk(case)
                break
            except _Broken as broken:
                self._bury(broken)
        else:
            return
        self.on_case(i, outputs, self.alive.copy())

    def _talk(self, case: Case) -> Outputs:
        """Drives the dialogue in lockstep; a lost child starts it again, for those still alive."""
        assert self.child is not None
        try:
            dialogue = case.dialogue(self.child.entries)
            question = next(dialogue)
        except ValueError as e:
            raise _Broken(Failure(Outcome.INVALID, str(e)), None) from e
        done: Outputs = {}  # single-round answers survive the loss of a child
        first = True
        while True:
            columns = self._round(question, case, first)
            first = False
            try:
                question = dialogue.send(columns)
            except StopIteration as end:
                done = end.value
                return done

    def _round(self, question: Round, case: Case, first: bool) -> Outputs:
        """Answers of all living variants. In the first round nothing depends on the child's memory, so a lost child
        costs only the variant that broke it; later the dialogue has to begin again."""
        columns: Outputs | None = None
        waiting = np.flatnonzero(self.alive)
        while True:
            assert self.child is not None
            answers = self.child.ask(question, waiting)
            broken = self.child.listen(answers)
            if columns is None:
                columns = answers.columns
            else:
                for name, column in answers.columns.items():
                    got = waiting[: answers.done]
                    columns[name][got] = column[got]
            answers.check_values(self.alive)
            for v, failure in answers.failures.items():
                self._mark(v, failure)
            if broken is None:
                return columns
            if not first:
                raise broken
            waiting = answers.pending
            self._bury(broken)
            waiting = waiting[self.alive[waiting]]
            if not len(waiting):
                return columns
            self._ensure_child()
            self.child.open_case(case)

    def _mark(self, variant: int, failure: Failure) -> None:
        self.failures.setdefault(variant, failure)
        self.alive[variant] = False

    # ------------------------------------------------------------ children

    def _ensure_child(self) -> None:
        if self.child is None:
            try:
                self.child = _Child(self.box, self.job)
            except WorkerDied:
                self.zygotes_lost += 1
                if self.zygotes_lost > 2:
                    raise
                self.box.restart()
                self._ensure_child()
                return
            self.child.load(self.job)

    def _bury(self, broken: _Broken) -> None:
        """Ends the child and marks whoever broke it; without a culprit the whole block shares its end."""
        ended = self._end_child()
        if ended is None:  # the zygote went with it: nobody's fault
            return
        failure = _explained(broken.failure, ended)
        if broken.culprit is not None:
            self._mark(broken.culprit, failure)
        else:
            for v in np.flatnonzero(self.alive).tolist():
                self._mark(v, failure)

    def _end_child(self) -> Ended | None:
        if self.child is None:
            return None
        child, self.child = self.child, None
        try:
            ended = child.close()
        except WorkerDied:
            self.zygotes_lost += 1
            if self.zygotes_lost > 2:
                raise
            self.box.restart()
            return None
        self.cpu_s += ended.cpu_s
        return ended


def _explained(failure: Failure, ended: Ended) -> Failure:
    """What the child's own end says beats what the silence on its socket looked like."""
    if failure.message != "ended":
        return failure
    if os.WIFSIGNALED(ended.status):
        number = os.WTERMSIG(ended.status)
        name = signal.Signals(number).name
        if number == signal.SIGSYS:
            return Failure(Outcome.VIOLATION, "SIGSYS: a system call that no honest candidate makes")
        if number == signal.SIGXCPU:
            return Failure(Outcome.TIMEOUT, "CPU limit")
        if number == signal.SIGKILL:
            return Failure(Outcome.MEMORY, "killed by the system, most likely out of memory")
        return Failure(Outcome.CRASH, f"ended by {name}")
    return Failure(Outcome.CRASH, f"ended early with exit code {os.WEXITSTATUS(ended.status)}")


class _Child:
    """The scorer's end of one child: questions out, frames in, a clock and a kill switch."""

    def __init__(self, box: Sandbox, job: Job) -> None:
        self._zygote, self._limits, self._off = box._zygote, box._limits, box.off
        cpu_s = max(2, math.ceil(self._limits.cpu_s * len(job.rows)))
        self._socket, self._pidfd = self._zygote.spawn(cpu_s)
        self._k = len(job.rows)
        self.entries: frozenset[str] = frozenset()

    def load(self, job: Job) -> None:
        nonce = os.urandom(8)
        header = {
            "do": "load",
            "nonce": nonce.hex(),
            "k": len(job.rows),
            "detail": job.detail,
            "names": [d.name for d in job.space.dims],
            "levels": [d.levels for d in job.space.dims],
            "entries": list(job.entries),
            "files": list(job.files),
        }
        self._send(header, [np.ascontiguousarray(job.rows).tobytes(), *job.files.values()])
        data, deadline = b"", time.monotonic() + min(LOAD_S, self._limits.wall_s + 1)
        while True:
            greeting = hello(data, nonce)
            if isinstance(greeting, Failure):
                raise _Broken(greeting, None)
            if greeting is not None:
                self.entries = frozenset(json.loads(greeting)) & frozenset(job.entries)
                return
            if not self._readable(deadline - time.monotonic()):
                self._kill()
                raise _Broken(Failure(Outcome.TIMEOUT, "loading took longer than the limit"), None)
            more = self._recv()
            if not more:
                raise _Broken(Failure(Outcome.CRASH, "ended"), None)
            data += more

    def open_case(self, case: Case) -> None:
        header = {"do": "case", "seed": case.seed, "size": case.public.size, "table": case.public.table}
        self._send(header, [], [case.public.fd])

    def ask(self, question: Round, variants: NDArray[np.int64]) -> Answers:
        nonce = os.urandom(8)
        schema = [a for call in question.calls for a in call.returns]
        arrays = [(n, np.ascontiguousarray(a)) for n, a in question.arrays.items()]
        header = {
            "do": "round",
            "nonce": nonce.hex(),
            "variants": variants.tolist(),
            "arrays": [(n, a.dtype.str, a.shape) for n, a in arrays],
            "calls": [
                {
                    "fn": c.fn,
                    "args": c.args,
                    "kwargs": c.kwargs,
                    "returns": [(a.name, a.dtype, a.shape) for a in c.returns],
                    "keep": c.keep,
                }
                for c in question.calls
            ],
        }
        answers = Answers(nonce, variants, schema, self._k, self._off)
        self._send(header, [a.tobytes() for _, a in arrays])
        return answers

    def listen(self, answers: Answers) -> _Broken | None:
        """Feeds frames to answers until all are there; None, or what broke and who."""
        limit = self._limits.wall_s
        seen, deadline = -1, time.monotonic() + limit
        while not answers.complete:
            if "kill" not in self._off and time.monotonic() >= deadline:
                self._kill()
                return _Broken(Failure(Outcome.TIMEOUT, f"no answer within {limit:g} s"), self._running(answers))
            if self._readable(min(limit / 8, 0.05)):
                data = self._recv()
                if not data:
                    return _Broken(Failure(Outcome.CRASH, "ended"), self._running(answers))
                failure = answers.feed(data)
                if failure is not None:
                    self._kill()
                    return _Broken(failure, self._running(answers))
            at = int.from_bytes(self._zygote.progress[:4], "little") + answers.done
            if at != seen:
                seen, deadline = at, time.monotonic() + limit
        return None

    def _running(self, answers: Answers) -> int | None:
        """Who was running: the child's own word if it names somebody still waiting, else the first of those."""
        named = int.from_bytes(self._zygote.progress[:4], "little") - 1
        pending = answers.pending
        if not len(pending):
            return int(answers._order[-1])
        return named if named in pending else int(pending[0])

    # ------------------------------------------------------------ bytes

    def _send(self, header: dict[str, Any], blobs: Sequence[bytes], fds: Sequence[int] = ()) -> None:
        text = json.dumps({**header, "blobs": [len(b) for b in blobs]}).encode()
        try:
            socket.send_fds(self._socket, [_LENGTH.pack(len(text))], list(fds))
            self._socket.sendall(b"".join([text, *blobs]))
        except OSError:
            pass  # the child is gone; reading from it says how

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self._socket], [], [], max(seconds, 0))[0])

    def _recv(self) -> bytes:
        try:
            return self._socket.recv(1 << 18)
        except OSError:
            return b""

    def _kill(self) -> None:
        kill(self._pidfd)

    def close(self) -> Ended:
        self._socket.close()
        if not select.select([self._pidfd], [], [], 0.2)[0]:
            self._kill()  # whoever runs on after the last answer
        os.close(self._pidfd)
        return self._zygote.ended()


__all__ = ["TEXT", "Case", "Job", "JobResult", "Sandbox"]
