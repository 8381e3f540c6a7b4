"""Sessions that a program drives instead of a person at a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.journal.spec import RunSpec
from toprope.protocols import Observer, Progress
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice

LOG = logging.getLogger("toprope")


class Audience:
    """A `session.Screen` that shows nothing by itself. Observers hear records from the ledger; those that have the
    methods `say`, `progress` and `wait` are told here what no record holds.

    waited: seconds that the climb has waited for the gate so far.
    """

    def __init__(self, observers: Sequence[Observer] = (), progress: Progress | None = None) -> None:
        self._observers, self._progress = observers, progress
        self.waited = 0.0
        self._since: float | None = None  # when the wait began that goes on

    def hear(self, record: msgspec.Struct) -> None:
        """Nothing: the ledger tells each observer."""

    def catch_up(self, history: RunHistory) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        LOG.info("%s", line)
        self._pass_on("say", line)

    def progress(self, what: str, done: float) -> None:
        self._pass_on("progress", what, done)
        if self._progress is not None:
            self._progress(what, done)

    def wait(self, seconds: float | None) -> None:
        now = time.monotonic()
        if self._since is not None:
            self.waited += now - self._since
        self._since = now if seconds is not None else None
        self._pass_on("wait", seconds)

    def _pass_on(self, method: str, *said: object) -> None:
        for observer in self._observers:
            if (tell := getattr(observer, method, None)) is not None:
                tell(*said)


def climbed(directory: Path, spec: RunSpec, tier: Choice, workers: int, vault: Path) -> RunHistory:
    """A climb without a model, from its start to its end, in a vault of its own: the history it recorded."""
    with Session(directory, spec, lambda _: tier, workers, Audience(), vault=vault) as session:
        session.climb()
    return read(directory)
