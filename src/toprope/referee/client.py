"""The run process's end of the hub: one attempt in flight; a hub that died is started again and asked the same."""

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

MAX_RESTARTS = 3  # over one question

T = TypeVar("T")
ShowProgress = Callable[[str, float], None]


class Link(NamedTuple):
    """A way to a hub. process: the hub, where it is our own; None for one behind a service."""

    process: subprocess.Popen[bytes] | None
    channel: wire.Channel[object]


Connect = Callable[[], Link]


def own_hub() -> Link:
    return Link(*wire.spawn("toprope.referee.hub", FromHub, "the hub", keys=True))


class HubClient:
    """Asks the hub; the answers to the same questions are the same however often a hub has to be restarted."""

    def __init__(
        self,
        config: HubConfig,
        progress: ShowProgress = lambda *_: None,
        sat: Callable[[int], None] = lambda _: None,
        connect: Connect = own_hub,
    ) -> None:
        """sat: records the number of every sitting, one for each hub that was started, before the hub works for it."""
        self._config, self._progress, self._sat, self._connect = config, progress, sat, connect
        self._asked: Attempt | None = None
        self._over = False
        self._start()

    def wait_ready(self) -> None:
        """The hub starts while others do; this waits for it. `ready` is there afterwards."""
        self._patiently(lambda: None)

    @property
    def pid(self) -> int:
        assert self._process is not None, "the hub of a service is its own affair"
        return self._process.pid

    def submit(self, candidate: Candidate, base_delay_exponent: int = 0, release_slots: int = RELEASE_SLOTS) -> None:
        """Starts an attempt; `answer` waits for it. pace, ticks: of the schedule its answer leaves on."""
        assert self._asked is None, "one attempt at a time"
        attempt = Attempt(candidate, base_delay_exponent, release_slots)
        self._patiently(lambda: self._channel.send(attempt))
        self._asked = attempt

    def answer(self) -> Answer:
        """The answer to the one attempt in flight."""
        assert self._asked is not None, "nothing was asked"
        answer = self._patiently(lambda: self._wait(Answer))
        assert answer.candidate == self._asked.candidate.id, "the answer to another attempt"
        self._asked = None
        return answer

    def commit(self, candidate: str, head: str) -> None:
        """Returns when the vault holds it. head: of the ledger that holds the commitment."""

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
        """Ends the hub for good, also for a thread that waits for its answer."""
        self._over = True
        self._stop()

    def _stop(self) -> None:
        """An idle hub ends itself, one that starts or is at an attempt (it is counted) is killed."""
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
        with contextlib.suppress(WorkerDied):  # one that ended at once is noticed when it is listened to
            self._channel.send(self._config)

    def _wake(self) -> None:
        """A hub that was just started: wait until it is ready, and ask it what the last one still owes."""
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
        """Does it, with up to MAX_RESTARTS new hubs; a hub may die while it starts, too."""
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
