"""The vault: the referee's durable memory for a user, outside every run directory, readable by nobody else.

Holds run secrets, attempts, champions and test openings over all runs. Everything is written *before* it is acted on
(synchronous=FULL): a crash never refunds an attempt or an opening.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from toprope import seeding, wire
from toprope.errors import RunError
from toprope.referee.messages import Answer
from toprope.stats.intervals import Estimate
from toprope.types import Candidate, Incident

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, task TEXT, number INTEGER, secret BLOB, rehearsal INTEGER,
                                 created REAL, unsealed INTEGER DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS attempts (run TEXT, slice INTEGER, attempt INTEGER, candidate TEXT, promoted INTEGER,
                                     PRIMARY KEY (run, slice, attempt), UNIQUE (run, slice, candidate)) STRICT;
CREATE TABLE IF NOT EXISTS champions (run TEXT, slice INTEGER, candidate BLOB, measured BLOB,
                                      PRIMARY KEY (run, slice)) STRICT;
CREATE TABLE IF NOT EXISTS openings (task TEXT, opening INTEGER, run TEXT, candidate TEXT, at REAL,
                                     PRIMARY KEY (task, opening), UNIQUE (run, candidate)) STRICT;
CREATE TABLE IF NOT EXISTS incidents (run TEXT, candidate TEXT, kind TEXT, severity TEXT, evidence TEXT,
                                      PRIMARY KEY (run, candidate, kind, severity)) STRICT;
"""


class SealedRun(NamedTuple):
    """number: place among this vault's certifying runs on the task, which alpha is spent over; 1 for a rehearsal."""

    run: str
    task: str
    number: int
    secret: bytes
    rehearsal: bool
    unsealed: bool


def _columns(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Table -> its columns. Raises sqlite3.DatabaseError for a vault in which something acts by itself."""
    (acting,) = db.execute("SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
    if acting:
        raise sqlite3.DatabaseError("it holds triggers or views")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()]
    query = "SELECT name, type, pk FROM pragma_table_info(?)"
    return {name: db.execute(query, (name,)).fetchall() for name in tables}


def _check_tables(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError unless every table of ours has our columns; others may lie beside them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        wanted, found = _columns(model), _columns(db)
    for name, columns in wanted.items():
        if found.get(name) != columns:
            raise sqlite3.DatabaseError(f"its table {name} has other columns than this version of toprope knows")


def _patiently(db: sqlite3.Connection, pragma: str) -> None:
    """Two runs that make the vault at the same moment: a change of journal does not wait for a lock by itself."""
    for seconds in (0.05, 0.2, 1.0, 5.0):
        try:
            db.execute(pragma)
            return
        except sqlite3.OperationalError:
            time.sleep(seconds)
    db.execute(pragma)


class Vault:
    """One SQLite file, mode 0600, shared by all of a user's runs."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = directory / "sealed.db"
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)  # whatever it was copied as
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=60)
            self._db.execute("PRAGMA synchronous=FULL")
            _patiently(self._db, "PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
            _check_tables(self._db)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as e:  # SQLite quotes damaged names in its complaints
            raise RunError(f"vault {directory}: {e}; set TOPROPE_VAULT to a directory you own on a local disk") from e

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        """One transaction, on disk when it ends, or nothing at all."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeDecodeError) as e:
            raise RunError(
                f"cannot write the vault {self._path}: {e}; nothing is lost: mend that, then `toprope resume` the run"
            ) from e

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        """Rows are read and converted to their types inside: a file knows damage that SQLite does not see."""
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, TypeError, OverflowError, OSError) as e:
            raise RunError(
                f"the vault {self._path} cannot be read: {e}; restore it from a copy, then `toprope resume` the run"
            ) from e

    @property
    def since(self) -> str:
        """Date of the first run the vault knows."""
        with self._read():
            (first,) = self._db.execute("SELECT min(created) FROM runs").fetchone()
            return time.strftime("%Y-%m-%d", time.localtime(first or time.time()))

    def open_run(self, run: str, task: str, rehearsal: str | None) -> SealedRun:
        """The run's sealed record, made on first sight."""
        with self._read(), self._write():
            row = self._db.execute("SELECT * FROM runs WHERE run=?", (run,)).fetchone()
            if row is None:
                query = "SELECT count(*) FROM runs WHERE task=? AND rehearsal=0"
                number = 1 if rehearsal is not None else self._db.execute(query, (task,)).fetchone()[0] + 1
                row = (run, task, number, seeding.run_secret(rehearsal), rehearsal is not None, time.time(), 0)
                self._db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", row)
            known = SealedRun(row[0], row[1], row[2], row[3], bool(row[4]), bool(row[6]))
            known = msgspec.convert(known, SealedRun, builtin_types=(bytes,))
            if known.number < 1 or len(known.secret) != 32 or known.task != task:
                raise ValueError(f"its record of run {run} is none of task {task}")
        return known

    def begin_attempt(self, run: str, slice_: int, candidate: str) -> tuple[int, bool | None]:
        """The attempt's number on the slice, counted now; and its answer, if the same candidate has had one."""
        with self._read(), self._write():
            query = "SELECT attempt, promoted FROM attempts WHERE run=? AND slice=? AND candidate=?"
            row = self._db.execute(query, (run, slice_, candidate)).fetchone()
            if row is not None:
                return msgspec.convert(row[0], int), None if row[1] is None else bool(row[1])
            query = "SELECT coalesce(max(attempt), 0) + 1 FROM attempts WHERE run=? AND slice=?"
            (number,) = self._db.execute(query, (run, slice_)).fetchone()
            self._db.execute("INSERT INTO attempts VALUES (?,?,?,?,NULL)", (run, slice_, number, candidate))
        return number, None

    def refuse(self, run: str, slice_: int, attempt: int) -> None:
        query = "UPDATE attempts SET promoted=0 WHERE run=? AND slice=? AND attempt=?"
        with self._write():
            self._db.execute(query, (run, slice_, attempt))

    def promote(self, run: str, slice_: int, attempt: int, champion: Candidate, measured: Estimate) -> None:
        """The answer and the new champion in one transaction; the slice is burned by the champion's existence."""
        with self._write():
            self._db.execute(
                "UPDATE attempts SET promoted=1 WHERE run=? AND slice=? AND attempt=?", (run, slice_, attempt)
            )
            row = (run, slice_, wire.encode(champion), wire.encode(measured))
            self._db.execute("INSERT INTO champions VALUES (?,?,?,?)", row)

    def saw(self, run: str, candidate: str, incidents: list[Incident]) -> None:
        """Kept until the run is over; each kind of incident once per candidate."""
        if incidents:
            with self._write():
                rows = [(run, candidate, i.kind, i.severity, i.evidence) for i in incidents]
                self._db.executemany("INSERT OR IGNORE INTO incidents VALUES (?,?,?,?,?)", rows)

    def seen(self, run: str) -> dict[str, list[Incident]]:
        """Candidate -> what was seen of it on hidden draws."""
        found: dict[str, list[Incident]] = {}
        query = "SELECT candidate, kind, severity, evidence FROM incidents WHERE run=? ORDER BY rowid"
        with self._read():
            for row in self._db.execute(query, (run,)):
                candidate, *incident = msgspec.convert(row, tuple[str, str, str, str])
                found.setdefault(candidate, []).append(Incident(*incident))
        return found

    def champions(self, run: str) -> list[tuple[Candidate, Estimate]]:
        """Promoted candidates in order; slice s was burned by the s-th (from 1)."""
        with self._read():
            rows = self._db.execute("SELECT candidate, measured FROM champions WHERE run=? ORDER BY slice", (run,))
            return [(wire.decode(c, Candidate), wire.decode(m, Estimate)) for c, m in rows]

    def past_answer(self, run: str, candidate: str) -> Answer | None:
        """The PROMOTE a candidate had, so that a run that missed the answer in a crash hears it again."""
        query = (
            "SELECT a.attempt, a.slice, c.measured FROM attempts a JOIN champions c USING (run, slice) "
            "WHERE a.run=? AND a.candidate=? AND a.promoted=1"
        )
        with self._read():
            row = self._db.execute(query, (run, candidate)).fetchone()
            if row is None:
                return None
            attempt, slice_ = msgspec.convert(row[:2], tuple[int, int])
            return Answer(candidate, True, attempt, slice_, wire.decode(row[2], Estimate))

    def attempts(self, run: str) -> int:
        with self._read():
            (n,) = self._db.execute("SELECT count(*) FROM attempts WHERE run=?", (run,)).fetchone()
            return int(n)

    def open_test(self, run: SealedRun, candidate: str) -> int:
        """Counts an opening of the task's test over all runs and ends the run; the same candidate keeps its number.

        A rehearsal's test is no secret, so its opening is always the first and is not counted.
        """
        with self._read(), self._write():
            self._db.execute("UPDATE runs SET unsealed=1 WHERE run=?", (run.run,))
            if run.rehearsal:
                return 1
            query = "SELECT opening FROM openings WHERE run=? AND candidate=?"
            row = self._db.execute(query, (run.run, candidate)).fetchone()
            if row is not None:
                return int(row[0])
            query = "SELECT coalesce(max(opening), 0) + 1 FROM openings WHERE task=?"
            (number,) = self._db.execute(query, (run.task,)).fetchone()
            values = (run.task, number, run.run, candidate, time.time())
            self._db.execute("INSERT INTO openings VALUES (?,?,?,?,?)", values)
        return int(number)
