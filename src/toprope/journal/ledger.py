"""The run's record: append-only, hash-chained rows in SQLite (WAL, one writer).

One row per block, not per experiment. State is what replaying the rows gives, so a run that was killed continues by
reading them. The chain is checked whenever a ledger is opened; its head stands in the report and in the sealed state.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from toprope import wire
from toprope.errors import RunError
from toprope.protocols import Entry

FORMAT = 2  # of the records; `journal/past.py` reads the earlier ones
READS = (1, 2)
SCHEMA = "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB, hash BLOB) STRICT"
GENESIS = hashlib.sha256(b"toprope ledger 1").hexdigest()


def entry_hash(previous: str, seq: int, kind: str, body: bytes) -> str:
    h = hashlib.sha256(f"{previous}\n{seq}\n{kind}\n".encode())
    h.update(body)
    return h.hexdigest()


class SqliteLedger:
    """protocols.Ledger on one file. Raises RunError for a damaged, foreign or busy file and for a full disk."""

    def __init__(self, path: Path, *, create: bool = False, readonly: bool = False) -> None:
        self.path = path
        self._db: sqlite3.Connection = None  # type: ignore[assignment]  # until it is open
        self._lock: int | None = None
        self._writing = threading.Lock()  # a desk's answer from the gate and its experiments come from two threads
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
                self._seq, self.head = self._check_chain()
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        """Makes the table in one step; one that an earlier start left behind is kept."""
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
        if tables != [(SCHEMA,)]:  # a stranger's view or trigger could do anything, or have no end
            raise RunError(f"{self.path} is no ledger of toprope: it holds other tables; restore it from a copy")
        head, expected = GENESIS, 0
        for seq, kind, body, digest in self._db.execute("SELECT seq, kind, body, hash FROM entries ORDER BY seq"):
            if not isinstance(kind, str) or not isinstance(body, bytes):
                raise RunError(f"{self.path} is no ledger of toprope: entry {expected} has columns of other types")
            head = entry_hash(head, expected, kind, body)
            if seq != expected or bytes.fromhex(head) != digest:
                raise RunError(
                    f"{self.path} is damaged or was edited: entry {expected} does not match its hash; "
                    "restore the file from a copy (nothing was changed)"
                )
            expected += 1
        return expected, head

    def append(self, kind: str, record: msgspec.Struct, *, safe: bool = False) -> Entry:
        """safe: on disk when this returns, also if the power fails; otherwise only a kill loses nothing."""
        data = wire.encode(record)
        with self._writing, self._errors():
            head = entry_hash(self.head, self._seq, kind, data)
            self._db.execute(f"PRAGMA synchronous={'FULL' if safe else 'NORMAL'}")
            self._db.execute("INSERT INTO entries VALUES (?,?,?,?)", (self._seq, kind, data, bytes.fromhex(head)))
            entry = Entry(self._seq, kind, data, head)
            self._seq, self.head = self._seq + 1, head
        return entry

    def read(self, kind: str | None = None) -> Iterator[Entry]:
        where, args = ("", ()) if kind is None else (" WHERE kind=?", (kind,))
        query = f"SELECT seq, kind, body, hash FROM entries{where} ORDER BY seq"
        with self._errors():
            for seq, what, body, digest in self._db.execute(query, args).fetchall():
                yield Entry(seq, what, body, digest.hex())

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _errors(self) -> _Errors:
        return _Errors(self.path)


def _uri(path: Path, readonly: bool) -> str:
    """The file for sqlite, its name quoted. A finished run in a directory we cannot write is read as it lies: readers
    of a WAL file need to write beside it, and where no log lies there is nothing in it to miss."""
    uri = f"file:{quote(os.fsencode(path))}"  # names need not be text
    if not readonly:
        return uri
    log = path.with_name(path.name + "-wal")
    return uri + ("?mode=ro" if log.exists() or os.access(path.parent, os.W_OK) else "?immutable=1")


class _Errors:
    """SQLite's errors in words a user can act on."""

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
            raise RunError(f"cannot read {self.path}: {e}; it is damaged or no ledger, restore it from a copy") from e


def _take_lock(path: Path) -> int:
    """One process per run. The lock goes with the process, also when it is killed."""
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
    """All entries of a run directory's ledger, chain checked, without taking the lock."""
    ledger = SqliteLedger(path / "ledger.db", readonly=True)
    try:
        return list(ledger.read())
    finally:
        ledger.close()
