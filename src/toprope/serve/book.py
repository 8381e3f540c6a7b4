"""One run as the pages read it: its history, which follows the ledger while the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from toprope.journal import checkpoint
from toprope.journal.history import RunHistory
from toprope.journal.ledger import SqliteLedger
from toprope.journal.reading import Story
from toprope.run.upkeep import held
from toprope.serve.columns import Columns

T = TypeVar("T")


class Book:
    """An open ledger, and what has been read of it. Raises RunError for a run that cannot be read."""

    def __init__(self, path: Path) -> None:
        """path: the run directory. The ledger is read, and its chain checked, as far as no checkpoint says so."""
        self.path = path
        self.lock = threading.RLock()
        self._inode = self._now()
        self._ledger = SqliteLedger(path / "ledger.db", readonly=True)
        try:
            kept = self._ledger.kept
            self._story = Story(str(path), kept.tally if kept is not None else None)
            begin = kept.length if kept is not None else 0
            for entry in self._ledger.rare(begin):
                self._story.add(entry)
            for entry in self._ledger.read(since=begin):
                self._story.add(entry)
            self._told: RunHistory | None = None
            self._made: dict[str, Any] = {}  # what was computed from the history as it stands
            self.columns = Columns(path, self._ledger)
            self._keep()
        except BaseException:
            self._ledger.close()
            raise

    def _keep(self) -> None:
        """Leaves a checkpoint for the next reader, as other commands do."""
        if not self._ledger.trusted and checkpoint.stamps(self._ledger.path) == self._ledger.stamps:
            self._ledger.keep(self._story.tally)

    @property
    def version(self) -> str:
        """Changes whenever the ledger grows."""
        return self._ledger.head

    def _now(self) -> int:
        try:
            return (self.path / "ledger.db").stat().st_ino
        except OSError:
            return 0

    @property
    def replaced(self) -> bool:
        """Whether another file has taken the place of the ledger that is open here."""
        return self._now() not in (0, self._inode)

    @property
    def starting(self) -> bool:
        """Whether a process is about to begin the run, and has recorded no more than what was asked for."""
        return next(self._ledger.read("open"), None) is None and held(self.path)

    def refresh(self) -> None:
        """Reads what a run has appended since. Raises RunError if the ledger was replaced meanwhile."""
        with self.lock:
            fresh = self._ledger.follow()
            for entry in fresh:
                self._story.add(entry)
            if fresh:
                self._told = None
                self._made = {}

    @property
    def history(self) -> RunHistory:
        """Raises RunError for a run that has not begun, or whose records contradict each other."""
        with self.lock:
            if self._told is None:
                self._told = self._story.told(self._ledger.blocks, self._ledger.head)
            return self._told

    def once(self, name: str, make: Callable[[RunHistory], T]) -> T:
        """What `make` computes from the history, kept until the ledger grows."""
        with self.lock:
            if name not in self._made:
                self._made[name] = make(self.history)
            found: T = self._made[name]
            return found

    def close(self) -> None:
        with self.lock:
            self.columns.close()
            self._ledger.close()
