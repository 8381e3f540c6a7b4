"""The run process's end of the hub: one attempt in flight; a hub that died is started again and asked the same."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Callable
from typing import TypeVar

from toprope.errors import WorkerDied
from toprope.referee.messages import (
    Answer,
    Attempt,
    Failed,
    FromHub,
    HubConfig,
    HubReady,
    Opened,
    Progress,
    Unseal,
)
from toprope.referee.pool import raise_failed, spawn
from toprope.types import Candidate

MAX_RESTARTS = 3

T = TypeVar("T")
ShowProgress = Callable[[str, float], None]


class HubClient:
    """Asks the hub; the answers to the same questions are the same however often a hub has to be restarted."""

    def __init__(self, config: HubConfig, progress: ShowProgress = lambda *_: None) -> None:
        self._config, self._progress = config, progress
        self._asked: Attempt | None = None
        self._restarts = 0
        self._start()

    def wait_ready(self) -> None:
        """The hub starts while others do; this waits for it. `ready` is there afterwards."""
        self.ready = self._patiently(lambda: self._wait(HubReady))

    @property
    def pid(self) -> int:
        return self._process.pid

    def submit(self, candidate: Candidate) -> None:
        """Starts an attempt; `answer` waits for it."""
        assert self._asked is None, "one attempt at a time"
        self._asked = Attempt(candidate)
        self._patiently(lambda: self._channel.send(self._asked))

    def answered(self) -> bool:
        """Whether `answer` would return at once."""
        return bool(select.select([self._channel], [], [], 0)[0])

    def answer(self) -> Answer:
        answer = self._patiently(lambda: self._wait(Answer))
        self._asked = None
        return answer

    def open_test(self, candidate: Candidate, baselines: dict[str, Candidate], progress: ShowProgress) -> Opened:
        self._progress = progress

        def ask() -> Opened:
            self._channel.send(Unseal(candidate, baselines))
            return self._wait(Opened)

        return self._patiently(ask)

    def close(self) -> None:
        self._channel.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._process, self._channel = spawn("toprope.referee.hub", FromHub, "the hub")
        self._channel.send(self._config)

    def _patiently(self, do: Callable[[], T]) -> T:
        while True:
            try:
                return do()
            except WorkerDied:
                self._restarts += 1
                if self._restarts > MAX_RESTARTS:
                    raise
                self.close()
                self._start()
                if not hasattr(self, "ready"):
                    continue
                self._wait(HubReady)
                if self._asked is not None:
                    self._channel.send(self._asked)

    def _wait(self, kind: type[T]) -> T:
        while True:
            message = self._channel.recv()
            if isinstance(message, kind):
                return message
            if isinstance(message, Failed):
                raise_failed(message)
            if isinstance(message, Progress):
                self._progress(message.what, message.done)
