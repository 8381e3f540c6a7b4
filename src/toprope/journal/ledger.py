"""The run's record: append-only, hash-chained rows in SQLite (WAL, one writer).

There is one row per block, not per experiment. The state of a run is what replaying the rows gives, so a killed run
continues by reading them. Opening a ledger checks the chain; reports and the vault hold its head. A large ledger that
nobody has touched since it was checked is not hashed again (`checkpoint.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from toprope import wire
from toprope.errors import RunError
from toprope.journal import checkpoint
from toprope.journal.checkpoint import Checkpoint, Stamp
from toprope.journal.records import FORMAT, kind_of
from toprope.journal.tally import Tally
from toprope.protocols import Entry, Observer
from toprope.unix import fcntl

READS = tuple(range(1, FORMAT + 1))
SCHEMA = "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB, hash BLOB) STRICT"
LEAST = -(2**63)  # SQLite's smallest integer: a lower bound of entry numbers
MANY = ("block", "generation")  # kinds that make a ledger long; of the others it knows where each entry is
WINDOW = 256  # entries that are fetched at once
GENESIS = hashlib.sha256(b"toprope ledger 1").hexdigest()


def entry_hash(previous: str, seq: int, kind: str, body: bytes) -> str:
    h = hashlib.sha256(f"{previous}\n{seq}\n{kind}\n".encode())
    h.update(body)
    return h.hexdigest()


class SqliteLedger:
    """protocols.Ledger on one file. Raises RunError for a damaged, foreign or busy file and for a full disk."""

    def __init__(self, path: Path, *, create: bool = False, readonly: bool = False, whole: bool = False) -> None:
        """whole: hash every entry, whatever a checkpoint says. kept: the checkpoint that the chain agrees with, or
        None. tally: brought up to date by `append`, once somebody has set it."""
        self.path, self._whole = path, whole
        self.kept: Checkpoint | None = None
        self.climb = b""  # state of the climb that the next checkpoint holds
        self.trusted = False  # the checkpoint stood in for hashing the chain
        self.stamps: list[Stamp | None] = []  # of the files when they were opened
        self.tally: Tally | None = None
        self._where: dict[str, list[int]] = {}  # kind -> numbers of its entries, for kinds that are not MANY
        self._db: sqlite3.Connection = None  # type: ignore[assignment]  # until it is open
        self._lock: int | None = None
        self._writing = threading.RLock()  # authors' experiments and answers of the gate come from several threads
        self.observers: list[Observer] = []  # hear every record, once it is appended
        if not create and not path.is_file():
            raise RunError(
                f"no run at {path.parent}: {path.name} is missing; name a directory that `toprope climb` made"
            )
        self._lock = None if readonly else _take_lock(path.with_name("lock"))
        try:
            with self._errors():
                self._db = sqlite3.connect(
                    _uri(path, readonly), uri=True, isolation_level=None, check_same_thread=False
                )
                if create:
                    self._create()
                self.length, self.head = self._check_chain()
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        """Makes the table in one transaction; keeps a table that an earlier start left behind."""
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._db.execute(SCHEMA)
        self._db.execute("COMMIT")

    def _check_chain(self) -> tuple[int, str]:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in READS:
            raise RunError(
                f"{self.path} has ledger format {version}, this toprope reads {', '.join(map(str, READS))}; "
                "use the version that made it"
            )
        tables = self._db.execute("SELECT sql FROM sqlite_master").fetchmany(2)
        if tables != [(SCHEMA,)]:  # a stranger's view or trigger could do anything, or never end
            raise RunError(f"{self.path} is not a toprope ledger: it holds other tables; restore it from a copy")
        self.stamps = checkpoint.stamps(self.path)
        kept = None if self._whole or checkpoint.size(self.path) < checkpoint.LARGE else checkpoint.load(self.path)
        if kept is not None and kept.files == self.stamps and self._last() == (kept.length - 1, kept.head):
            self.kept, self._where = kept, {kind: list(some) for kind, some in kept.where.items()}
            self.trusted, self.climb = True, kept.climb
            return kept.length, kept.head
        length, head = 0, GENESIS
        for entry in self._checked(length, head):
            length, head = entry.seq + 1, entry.hash
            self._note(entry.kind, entry.seq)
            if kept is not None and (length, head) == (kept.length, kept.head):
                self.kept, self.climb = kept, kept.climb
        return length, head

    def _note(self, kind: str, seq: int) -> None:
        if kind not in MANY:
            self._where.setdefault(kind, []).append(seq)

    def _last(self) -> tuple[int, str]:
        row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1].hex()) if row is not None and isinstance(row[1], bytes) else (-1, "")

    def keep(self, tally: Tally) -> None:
        """Writes a checkpoint of the chain as it is now, if the ledger is large. tally: of all its entries."""
        if checkpoint.size(self.path) >= checkpoint.LARGE:
            with self._writing:
                files = checkpoint.stamps(self.path)
                made = Checkpoint(self.length, self.head, files, self._where, tally, self.climb)
                checkpoint.save(self.path, made)

    def _checked(self, known: int, head: str) -> Iterator[Entry]:
        """Yields the entries after the first `known` ones, checking the chain. head: hash of the last known entry."""
        query = "SELECT seq, kind, body, hash FROM entries WHERE seq >= ? ORDER BY seq"
        rows = self._db.execute(query, (known - 1 if known else LEAST,))
        if known and ((last := rows.fetchone()) is None or (last[0], last[3]) != (known - 1, bytes.fromhex(head))):
            raise RunError(
                f"{self.path} was truncated or replaced while it was read: entry {known - 1} has changed; "
                "restore the file from a copy"
            )
        for expected, (seq, kind, body, digest) in enumerate(rows, known):
            if not isinstance(kind, str) or not isinstance(body, bytes):
                raise RunError(f"{self.path} is not a toprope ledger: entry {expected} has columns of other types")
            head = entry_hash(head, expected, kind, body)
            if seq != expected or bytes.fromhex(head) != digest:
                raise RunError(
                    f"{self.path} is damaged or was edited: entry {expected} does not match its hash; "
                    "restore the file from a copy (nothing was changed)"
                )
            yield Entry(seq, kind, body, head)

    def append(self, record: msgspec.Struct, *, safe: bool = False) -> Entry:
        """Appends a record under the kind of its type (`records.KINDS`), then tells the observers. safe: it survives a
        power failure; otherwise it survives only a killed process. Raises RunError if the disk is full."""
        kind, data = kind_of(record), wire.encode(record)
        with self._writing:
            with self._errors():
                head = entry_hash(self.head, self.length, kind, data)
                self._db.execute(f"PRAGMA synchronous={'FULL' if safe else 'NORMAL'}")
                row = (self.length, kind, data, bytes.fromhex(head))
                self._db.execute("INSERT INTO entries VALUES (?,?,?,?)", row)
            entry = Entry(self.length, kind, data, head)
            self._note(kind, self.length)
            if self.tally is not None:
                self.tally.add(self.length, record)
            self.length, self.head = self.length + 1, head
            self.tell(record)
        return entry

    def tell(self, record: msgspec.Struct) -> None:
        """Passes a record that the ledger holds to the observers, in the ledger's order. An observer that raises is
        removed, and the run goes on."""
        with self._writing:
            for observer in list(self.observers):
                try:
                    observer.hear(record)
                except Exception as e:
                    self.observers.remove(observer)
                    self._say(f"observer {type(observer).__name__} failed at a record of kind {kind_of(record)!r} and "
                              f"is removed; the record is kept and the run goes on: {e!r}")  # fmt: skip

    def _say(self, words: str) -> None:
        with contextlib.suppress(OSError):
            print(f"toprope: {words}", file=sys.stderr, flush=True)

    def read(self, kind: str | None = None, since: int = 0) -> Iterator[Entry]:
        """Entries in order, of one kind or of all, from number `since` on. Their hashes are not checked again. Entries
        that are appended meanwhile are left out."""
        if kind is None or kind in MANY:
            yield from self.between(since, self.length, kind)
            return
        for seq in list(self._where.get(kind, ())):
            if seq >= since:
                yield from self.between(seq, seq + 1)

    def rare(self, end: int) -> Iterator[Entry]:
        """Entries before number `end`, in order, of kinds that are not MANY."""
        for seq in sorted(seq for some in self._where.values() for seq in some if seq < end):
            yield from self.between(seq, seq + 1)

    def blocks(self, first: int, end: int | None) -> Iterator[Entry]:
        """A source for `journal/blocks.py`, as long as the ledger is open."""
        return self.between(first, self.length if end is None else end, "block")

    def between(self, first: int, end: int, kind: str | None = None) -> Iterator[Entry]:
        """Entries with first <= number < end, of one kind or of all. WINDOW of them are in memory at once."""
        query = "SELECT seq, kind, body, hash FROM entries WHERE seq >= ? AND seq < ? AND (? IS NULL OR kind = ?) "
        for at in range(first, end, WINDOW):
            with self._errors():
                args = (at, min(at + WINDOW, end), kind, kind)
                rows = self._db.execute(query + "ORDER BY seq", args).fetchall()
            for seq, what, body, digest in rows:
                yield Entry(seq, what, body, digest.hex())

    def follow(self) -> list[Entry]:
        """What a writer, in another process perhaps, has appended since this ledger was opened or followed last.

        Only these entries are hashed, starting from the last known one, whose stored hash must be unchanged. Raises
        RunError for a ledger that was truncated, or whose chain was replaced, meanwhile. An entry that was edited in
        place after its check is found when the ledger is opened next. If no file can be written beside the ledger, new
        entries are not seen.
        """
        with self._writing, self._errors():
            fresh = list(self._checked(self.length, self.head))
            if fresh:
                self.length, self.head = fresh[-1].seq + 1, fresh[-1].hash
            for entry in fresh:
                self._note(entry.kind, entry.seq)
        return fresh

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        if self._lock is not None and self.tally is not None:
            self.keep(self.tally)  # closing has changed the files
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _errors(self) -> _Errors:
        return _Errors(self.path)


def _uri(path: Path, readonly: bool) -> str:
    """The URI of the file for SQLite, with its name quoted. A finished run in a read-only directory is opened as
    immutable: readers of a WAL database must write beside it, and without a log file no entry can be missed."""
    uri = f"file:{quote(os.fsencode(path))}"  # names need not be text
    if not readonly:
        return uri
    log = path.with_name(path.name + "-wal")
    return uri + ("?mode=ro" if log.exists() or os.access(path.parent, os.W_OK) else "?immutable=1")


class _Errors:
    """Turns SQLite's errors into RunError with a remedy."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, e: BaseException | None, __: object) -> None:
        if isinstance(e, sqlite3.OperationalError) and ("full" in str(e) or "I/O" in str(e)):
            raise RunError(
                f"cannot write {self.path}: {e}; free some space, then `toprope resume {self.path.parent}`"
            ) from e
        if isinstance(e, sqlite3.OperationalError) and ("unable to open" in str(e) or "readonly" in str(e)):
            raise RunError(
                f"cannot open {self.path}: {e}; the directory and the file must be yours to read and write"
            ) from e
        if isinstance(e, sqlite3.Error | msgspec.DecodeError | UnicodeDecodeError):  # it quotes damaged names
            raise RunError(f"cannot read {self.path}: {e}; it is damaged or no ledger; restore it from a copy") from e


def _take_lock(path: Path) -> int:
    """Takes the lock that admits one process per run. It is released when the process ends, even by a kill. Raises
    RunError if another process holds it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise RunError(
            f"cannot write {path}: {e.strerror}; a run needs a directory you can write, with space left"
        ) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise RunError(f"run {path.parent} is in use by another process; wait for it or stop it") from None
    return fd


def read_entries(path: Path) -> list[Entry]:
    """All entries of a run directory's ledger, with the whole chain checked, without taking the lock. Raises
    RunError."""
    ledger = SqliteLedger(path / "ledger.db", readonly=True, whole=True)
    try:
        return list(ledger.read())
    finally:
        ledger.close()
