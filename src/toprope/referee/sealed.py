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
from typing import NamedTuple

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
        except (OSError, sqlite3.Error) as e:
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
        except sqlite3.Error as e:
            raise RunError(
                f"cannot write the vault {self._path}: {e}; nothing is lost: mend that, then `toprope resume` the run"
            ) from e

    @property
    def since(self) -> str:
        """Date of the first run the vault knows."""
        (first,) = self._db.execute("SELECT min(created) FROM runs").fetchone()
        return time.strftime("%Y-%m-%d", time.localtime(first or time.time()))

    def open_run(self, run: str, task: str, rehearsal: str | None) -> SealedRun:
        """The run's sealed record, made on first sight."""
        with self._write():
            row = self._db.execute("SELECT * FROM runs WHERE run=?", (run,)).fetchone()
            if row is None:
                query = "SELECT count(*) FROM runs WHERE task=? AND rehearsal=0"
                number = 1 if rehearsal is not None else self._db.execute(query, (task,)).fetchone()[0] + 1
                row = (run, task, number, seeding.run_secret(rehearsal), rehearsal is not None, time.time(), 0)
                self._db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", row)
        return SealedRun(row[0], row[1], row[2], row[3], bool(row[4]), bool(row[6]))

    def begin_attempt(self, run: str, slice_: int, candidate: str) -> tuple[int, bool | None]:
        """The attempt's number on the slice, counted now; and its answer, if the same candidate has had one."""
        with self._write():
            query = "SELECT attempt, promoted FROM attempts WHERE run=? AND slice=? AND candidate=?"
            row = self._db.execute(query, (run, slice_, candidate)).fetchone()
            if row is not None:
                return row[0], None if row[1] is None else bool(row[1])
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
        for candidate, *incident in self._db.execute(query, (run,)):
            found.setdefault(candidate, []).append(Incident(*incident))
        return found

    def champions(self, run: str) -> list[tuple[Candidate, Estimate]]:
        """Promoted candidates in order; slice s was burned by the s-th (from 1)."""
        rows = self._db.execute("SELECT candidate, measured FROM champions WHERE run=? ORDER BY slice", (run,))
        return [(wire.decode(c, Candidate), wire.decode(m, Estimate)) for c, m in rows]

    def past_answer(self, run: str, candidate: str) -> Answer | None:
        """The PROMOTE a candidate had, so that a run that missed the answer in a crash hears it again."""
        query = (
            "SELECT a.attempt, a.slice, c.measured FROM attempts a JOIN champions c USING (run, slice) "
            "WHERE a.run=? AND a.candidate=? AND a.promoted=1"
        )
        row = self._db.execute(query, (run, candidate)).fetchone()
        if row is None:
            return None
        return Answer(candidate, True, row[0], row[1], wire.decode(row[2], Estimate))

    def attempts(self, run: str) -> int:
        (n,) = self._db.execute("SELECT count(*) FROM attempts WHERE run=?", (run,)).fetchone()
        return int(n)

    def open_test(self, run: SealedRun, candidate: str) -> int:
        """Counts an opening of the task's test over all runs and ends the run; the same candidate keeps its number.

        A rehearsal's test is no secret, so its opening is always the first and is not counted.
        """
        with self._write():
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
