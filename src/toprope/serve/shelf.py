"""The runs of a folder: found by name, opened when somebody looks, and listed without being read twice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import NamedTuple

from toprope.errors import TopropeError, UsageError
from toprope.journal import checkpoint
from toprope.journal.history import RunHistory
from toprope.run.upkeep import run_folders, state
from toprope.serve.book import Book
from toprope.stats.intervals import Estimate

OPEN = 48  # ledgers that are held open
READERS = 2  # threads that open ledgers
PATIENCE_S = 0.12  # that a page waits for a large ledger to be opened, before it says that it is being read
SMALL_S = 3.0  # the same for one of less than checkpoint.LARGE, which takes that long on a busy machine only
FRESH_S = 1.0  # for which what is known of a folder is not looked up again


class Reading(Exception):
    """The run is being read for the first time. seconds: since when."""

    def __init__(self, name: str, seconds: float, size: int) -> None:
        super().__init__(name)
        self.name, self.seconds, self.size = name, seconds, size


class Starting(Exception):
    """A process is about to begin the run: scorers and hidden states are being made, and nothing is recorded yet."""


class Unknown(Exception):
    """The folder holds no run of this name."""


class Row(NamedTuple):
    """What the list shows of a run. why: of one that cannot be read; then nothing else is known. sealed, measured: of
    the champion."""

    name: str
    state: str
    task: str = ""
    climber: str = ""
    champion: str = ""
    dev: float | None = None
    measured: Estimate | None = None
    sealed: Estimate | None = None
    experiments: int = 0
    started: float = 0.0
    seconds: float = 0.0
    certain: int = 0
    unprotected: bool = False
    certifying: bool = False
    why: str = ""


class Shelf:
    """The runs of one folder. Raises UsageError if the folder does not exist."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"--runs {folder} does not exist; name the folder that holds your runs, or climb first")
        if (folder / "ledger.db").is_file():
            raise UsageError(f"--runs {folder} is a run itself; name the folder that holds it: {folder.parent}")
        self.folder = folder
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._books: OrderedDict[str, tuple[Future[Book], float]] = OrderedDict()
        self._rows: dict[str, tuple[object, Row]] = {}
        self._listed: dict[str, Future[Row]] = {}  # rows that are being read
        self._names: tuple[float, dict[str, Path]] = (0.0, {})

    def names(self) -> dict[str, Path]:
        """name -> directory of every run, as the folder says; a name from outside is only ever looked up here."""
        with self._lock:
            at, found = self._names
            if time.monotonic() - at > FRESH_S:
                found = {path.name: path for path in run_folders(self.folder)}
                self._names = (time.monotonic(), found)
            return found

    def book(self, name: str, wait_s: float | None = None) -> Book:
        """The run of this name, up to date. wait_s: None for PATIENCE_S or SMALL_S. Raises Unknown, Reading where it
        takes longer to open, Starting, and RunError for one that cannot be read."""
        path = self.names().get(name)
        if path is None:
            raise Unknown(name)
        size = checkpoint.size(path / "ledger.db")
        if wait_s is None:
            wait_s = PATIENCE_S if size >= checkpoint.LARGE else SMALL_S
        with self._lock:
            if name not in self._books:
                self._books[name] = (self._readers.submit(Book, path), time.monotonic())
                self._let_go()
            self._books.move_to_end(name)
            future, since = self._books[name]
        try:
            book = future.result(wait_s)
            book.refresh()
        except NotYet:
            raise Reading(name, time.monotonic() - since, size) from None
        except TopropeError:
            self._forget(name, future)  # it may be repaired
            raise
        if book.replaced:  # by a new run under the old name
            self._forget(name, future)
            return self.book(name, wait_s)
        if book.starting:
            raise Starting(name)
        return book

    def _forget(self, name: str, future: Future[Book]) -> None:
        with self._lock:
            if name in self._books and self._books[name][0] is future:
                del self._books[name]
        future.add_done_callback(_closed)

    def _let_go(self) -> None:
        """Closes the ledgers that nobody has looked at for longest."""
        while len(self._books) > OPEN:
            _, (future, _) = self._books.popitem(last=False)
            future.add_done_callback(_closed)

    def rows(self) -> list[Row]:
        """One row for each run, newest first. What is not known in PATIENCE_S is in state "reading"."""
        until = time.monotonic() + PATIENCE_S
        found = [self._row(name, path, until) for name, path in self.names().items()]
        return sorted(found, key=lambda r: (-r.started, r.name))

    def _row(self, name: str, path: Path, until: float) -> Row:
        stamps = checkpoint.stamps(path / "ledger.db")
        known = self._rows.get(name)
        left = max(0.0, until - time.monotonic())
        if known is not None and known[0] == stamps and known[1].state not in ("climbing", "starting"):
            return known[1]
        if known is not None and known[1].state == "climbing":  # it stays open, and is followed
            try:
                row = _row_of(self.book(name, left))
            except (Reading, Starting):
                return known[1]
            except (TopropeError, Unknown) as e:
                row = Row(name, "unreadable", why=str(e))
        else:
            if name not in self._listed:
                self._listed[name] = self._readers.submit(_listed, path)
            future = self._listed[name]
            try:
                row = future.result(left)
            except NotYet:
                return Row(name, "reading")
            self._listed.pop(name, None)
        self._rows[name] = (stamps, row)
        return row

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for future, _ in self._books.values():
                future.add_done_callback(_closed)


def _closed(future: Future[Book]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().close()


def _listed(path: Path) -> Row:
    """The row of a run whose ledger is not held open."""
    try:
        book = Book(path)
    except TopropeError as e:
        return Row(path.name, "unreadable", why=str(e))
    try:
        return _row_of(book)
    except TopropeError as e:
        return Row(path.name, "unreadable", why=str(e))
    finally:
        book.close()


def _row_of(book: Book) -> Row:
    if book.starting:
        return Row(book.path.name, "starting")
    return book.once("row", lambda s: _row(book.path.name, s))._replace(state=state(book.path, book.history))


def _row(name: str, s: RunHistory) -> Row:
    o = s.opening
    last = s.generations[-1] if s.generations else None
    return Row(
        name=name,
        state="",
        task=o.spec.task,
        climber=o.spec.climber.label,
        champion=s.champion.id,
        dev=last.best if last is not None else None,
        measured=s.measured,
        sealed=s.test.champion if s.test is not None else None,
        experiments=s.experiments,
        started=o.started,
        seconds=s.seconds,
        certain=len(s.incidents("certain")),
        unprotected=o.protection.get("tier") == "none",
        certifying=o.certifying,
    )
