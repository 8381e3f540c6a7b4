"""The run process's client of the hub: one attempt in flight; a hub that died is restarted and asked again."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from toprope import wire
from toprope.errors import WorkerDied
from toprope.executors.messages import Failed, Progress
from toprope.referee.messages import Acknowledge, Attempt, Commit, FromHub, HubConfig, HubReady, Noted, Unseal
from toprope.referee.recorded import Answer, Opened
from toprope.stats.leak import RELEASE_SLOTS
from toprope.types import Candidate

MAX_RESTARTS = 3  # per question

T = TypeVar("T")
ShowProgress = Callable[[str, float], None]


class Link(NamedTuple):
    """A connection to a hub. process: of our own hub; None for a hub behind a service."""

    process: subprocess.Popen[bytes] | None
    channel: wire.Channel[object]


Connect = Callable[[], Link]


def own_hub() -> Link:
    return Link(*wire.spawn("toprope.referee.hub", FromHub, "the hub", keys=True))


class HubClient:
    """Asks the hub. The answer to a question does not depend on how often a hub has to be restarted."""

    def __init__(
        self,
        config: HubConfig,
        progress: ShowProgress = lambda *_: None,
        sat: Callable[[int], None] = lambda _: None,
        connect: Connect = own_hub,
    ) -> None:
        """sat: records a session's number before its hub does any work; every hub that is started begins a session."""
        self._config, self._progress, self._sat, self._connect = config, progress, sat, connect
        self._asked: Attempt | None = None
        self._over = False
        self._start()

    def wait_ready(self) -> None:
        """Waits until the hub, which starts in the background, is ready; then `ready` is set."""
        self._patiently(lambda: None)

    @property
    def pid(self) -> int:
        assert self._process is not None, "the hub of a service is not our process"
        return self._process.pid

    def submit(self, candidate: Candidate, base_delay_exponent: int = 0, release_slots: int = RELEASE_SLOTS) -> None:
        """Starts an attempt; `answer` waits for it. base_delay_exponent, release_slots: of its answer's schedule."""
        assert self._asked is None, "one attempt at a time"
        attempt = Attempt(candidate, base_delay_exponent, release_slots)
        self._patiently(lambda: self._channel.send(attempt))
        self._asked = attempt

    def answer(self) -> Answer:
        """Waits for the answer to the attempt in flight. Raises WorkerDied after MAX_RESTARTS restarts."""
        assert self._asked is not None, "nothing was asked"
        answer = self._patiently(lambda: self._wait(Answer))
        assert answer.candidate == self._asked.candidate.id, "the answer to another attempt"
        self._asked = None
        return answer

    def commit(self, candidate: str, head: str) -> None:
        """Commits to a candidate; returns when the vault holds it. head: of the ledger with the commitment."""

        def tell() -> Noted:
            self._channel.send(Commit(candidate, head))
            return self._wait(Noted)

        self._patiently(tell)

    def open_test(self, request: Unseal, progress: ShowProgress) -> Opened:
        self._progress = progress

        def ask() -> Opened:
            self._channel.send(request)
            return self._wait(Opened)

        return self._patiently(ask)

    def close(self) -> None:
        """Ends the hub for good, even if a thread waits for its answer."""
        self._over = True
        self._stop()

    def _stop(self) -> None:
        """An idle hub ends by itself; a hub that is starting, or works on an attempt (already counted), is killed."""
        self._channel.close()
        if self._process is None:
            return
        try:
            self._process.wait(5 if self._awake and self._asked is None else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._process, self._channel = self._connect()
        self._awake = False
        with contextlib.suppress(WorkerDied):  # if it died at once, the next `recv` notices
            self._channel.send(self._config)

    def _wake(self) -> None:
        """Waits until a new hub is ready, and repeats the question that the last one did not answer."""
        if self._awake:
            return
        self.ready = self._wait(HubReady)
        self._sat(self.ready.session_number)
        self._config = msgspec.structs.replace(self._config, session_number=self.ready.session_number)
        self._channel.send(Acknowledge(self.ready.session_number))
        if self._asked is not None:
            self._channel.send(self._asked)
        self._awake = True

    def _patiently(self, do: Callable[[], T]) -> T:
        """Calls `do`, with up to MAX_RESTARTS new hubs; a hub may also die while it starts."""
        for restarts in itertools.count():
            try:
                self._wake()
                return do()
            except WorkerDied:
                if restarts == MAX_RESTARTS or self._over:
                    raise
                self._stop()
                self._start()
        raise AssertionError("unreachable")

    def _wait(self, kind: type[T]) -> T:
        while True:
            message = self._channel.recv()
            if isinstance(message, kind):
                return message
            if isinstance(message, Failed):
                raise message.error()
            if isinstance(message, Progress):
                self._progress(message.what, message.done)
