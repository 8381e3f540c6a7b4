"""The vault: the referee's durable memory for a user, outside every run directory, readable by nobody else.

Holds run secrets, attempts, champions and test openings over all runs. Everything is written *before* it is acted on
(synchronous=FULL): a crash never refunds an attempt or an opening.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec

from toprope import seeding, wire
from toprope.errors import RunError, UsageError
from toprope.models.messages import Reply
from toprope.referee.gate import GateVerdict
from toprope.referee.recorded import Answer, RevealedVerdict
from toprope.stats.intervals import Estimate
from toprope.stats.leak import RELEASE_SLOTS, release_bits
from toprope.types import Candidate, Incident

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, task TEXT, number INTEGER, secret BLOB, rehearsal INTEGER,
                                 created REAL, unsealed INTEGER DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS sittings (run TEXT PRIMARY KEY, seen INTEGER, acknowledged INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS attempts (run TEXT, slice INTEGER, attempt INTEGER, candidate TEXT, promoted INTEGER,
                                     PRIMARY KEY (run, slice, attempt), UNIQUE (run, slice, candidate)) STRICT;
CREATE TABLE IF NOT EXISTS verdicts (run TEXT, slice INTEGER, attempt INTEGER, tick INTEGER, log_e REAL, level REAL,
                                     draws INTEGER, error TEXT, PRIMARY KEY (run, slice, attempt)) STRICT;
CREATE TABLE IF NOT EXISTS champions (run TEXT, slice INTEGER, candidate BLOB, measured BLOB,
                                      PRIMARY KEY (run, slice)) STRICT;
CREATE TABLE IF NOT EXISTS paces (run TEXT, slice INTEGER, pace INTEGER, PRIMARY KEY (run, slice)) STRICT;
CREATE TABLE IF NOT EXISTS heads (run TEXT PRIMARY KEY, head TEXT) STRICT;
CREATE TABLE IF NOT EXISTS marks (run TEXT, part TEXT, digest TEXT, PRIMARY KEY (run, part)) STRICT;
CREATE TABLE IF NOT EXISTS beacons (run TEXT PRIMARY KEY, round TEXT, candidate TEXT, value TEXT) STRICT;
CREATE TABLE IF NOT EXISTS openings (task TEXT, opening INTEGER, run TEXT, candidate TEXT, at REAL,
                                     PRIMARY KEY (task, opening), UNIQUE (run, candidate)) STRICT;
CREATE TABLE IF NOT EXISTS queries (task TEXT, hidden TEXT, number INTEGER, at REAL, query BLOB,
                                    PRIMARY KEY (task, hidden, number)) STRICT;
CREATE TABLE IF NOT EXISTS replies (run TEXT, key BLOB, body BLOB, PRIMARY KEY (run, key)) STRICT;
CREATE TABLE IF NOT EXISTS spending (run TEXT, key BLOB, tokens INTEGER, PRIMARY KEY (run, key)) STRICT;
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
    beacon_round: str | None = None


def _outdated(run: str, presented: int, seen: int, vault: Path) -> str:
    if presented > seen:
        known = f"has seen only {seen}" if seen else "has never seen it"
        return (
            f"run {run} is at sitting {presented}, and the vault {vault} {known}; "
            "set TOPROPE_VAULT to the one that it was begun with (an older copy will not do), or name its --referee"
        )
    return (
        f"this is a copy of run {run}: its last sitting was {presented}, the vault has seen {seen}; resume the original"
    )


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

    def __init__(self, directory: Path, notices_copies: bool = True) -> None:
        """notices_copies: False only in tests that show what copies of a run directory would gain."""
        self._notices_copies = notices_copies
        self._lock: int | None = None
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

    def close(self) -> None:
        """The file, and the sitting if there is one."""
        self.leave()
        self._db.close()

    @property
    def since(self) -> str:
        """Date of the first run the vault knows."""
        with self._read():
            (first,) = self._db.execute("SELECT min(created) FROM runs").fetchone()
            return time.strftime("%Y-%m-%d", time.localtime(first or time.time()))

    def open_run(self, run: str, task: str, rehearsal: str | None, beacon_round: str | None = None) -> SealedRun:
        """The run's sealed record, made on first sight; a beacon's round is named then or never."""
        with self._read(), self._write():
            row = self._db.execute("SELECT * FROM runs WHERE run=?", (run,)).fetchone()
            if row is None:
                query = "SELECT count(*) FROM runs WHERE task=? AND rehearsal=0"
                number = 1 if rehearsal is not None else self._db.execute(query, (task,)).fetchone()[0] + 1
                row = (run, task, number, seeding.run_secret(rehearsal), rehearsal is not None, time.time(), 0)
                self._db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", row)
                if beacon_round is not None:
                    self._db.execute("INSERT INTO beacons VALUES (?,?,NULL,NULL)", (run, beacon_round))
            named = self._db.execute("SELECT round FROM beacons WHERE run=?", (run,)).fetchone()
            found = (*row[:4], bool(row[4]), bool(row[6]), named and named[0])
            known = msgspec.convert(found, SealedRun, builtin_types=(bytes,))
            if known.number < 1 or len(known.secret) != 32 or known.task != task:
                raise ValueError(f"its record of run {run} is none of task {task}")
        return known

    def commit(self, run: str, candidate: str, head: str) -> None:
        """The candidate that a beacon's value will test; the first one stays."""
        with self._write():
            self._db.execute("UPDATE beacons SET candidate=? WHERE run=? AND candidate IS NULL", (candidate, run))
            self._db.execute("INSERT OR IGNORE INTO heads VALUES (?,?)", (run, head))

    def _with_beacon(self, run: SealedRun, candidate: str, value: str | None) -> None:
        """A test by beacon is opened for the candidate committed to, with one value; no second value is tried."""
        row = self._db.execute("SELECT candidate, value FROM beacons WHERE run=?", (run.run,)).fetchone()
        if (row is None) != (value is None):
            wanted = "named no beacon round before its commitment" if row is None else "waits for its beacon's value"
            raise RunError(f"run {run.run} {wanted}; `toprope unseal --help` says how a beacon is used")
        if row is not None and (row[0] != candidate or row[1] not in (None, value)):
            raise RunError(
                f"run {run.run} is committed to candidate {row[0]} and beacon value {row[1]}, "
                f"not to {candidate} and {value}; a test is opened once"
            )
        self._db.execute("UPDATE beacons SET value=? WHERE run=?", (value, run.run))

    def sit(
        self, run: str, task: str, rehearsal: str | None, presented: int, beacon_round: str | None = None
    ) -> tuple[SealedRun, int]:
        """The run's sealed record and the number of a new sitting, after `presented`, the last that its ledger holds.

        One sitting at a time. A number counts once `acknowledge` says that the ledger holds it; a sitting killed before
        that is continued from either number, so no kill locks the original out. Raises RunError for a copy.
        """
        if self._notices_copies:
            self._lock_session(run)
        try:
            with self._read(), self._write():
                row = self._db.execute("SELECT seen, acknowledged FROM sittings WHERE run=?", (run,)).fetchone()
                seen, acknowledged = msgspec.convert(row or (0, 0), tuple[int, int])
                if self._notices_copies and presented not in (seen, acknowledged):
                    raise RunError(_outdated(run, presented, seen, self._path.parent))
                values = (run, seen + 1, max(presented, acknowledged))
                self._db.execute("INSERT OR REPLACE INTO sittings VALUES (?,?,?)", values)
        except BaseException:
            self.leave()
            raise
        return self.open_run(run, task, rehearsal, beacon_round), seen + 1

    def mark(self, run: str, mark: dict[str, str]) -> None:
        """What the run's task does (`tasks/mark.py`); the first one stays."""
        with self._write():
            rows = [(run, part, digest) for part, digest in mark.items()]
            self._db.executemany("INSERT OR IGNORE INTO marks VALUES (?,?,?)", rows)

    def marked(self, run: str) -> dict[str, str]:
        """Empty for a run that the vault does not know, or knows from an earlier version."""
        with self._read():
            rows = self._db.execute("SELECT part, digest FROM marks WHERE run=?", (run,)).fetchall()
            return msgspec.convert(dict(rows), dict[str, str])

    def leave(self) -> None:
        """Ends the sitting; a process that ends has done so anyway."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def acknowledge(self, run: str, session_number: int) -> None:
        """The run's ledger holds the number; only the directory with that ledger can sit again."""
        with self._write():
            self._db.execute(
                "UPDATE sittings SET acknowledged=? WHERE run=? AND seen=?", (session_number, run, session_number)
            )

    def _lock_session(self, run: str) -> None:
        """A lock on the run that goes with this process: one byte of one file, at a place that the run's name gives."""
        place = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big") >> 2
        self._lock = os.open(self._path.with_name("sittings.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        for seconds in (0.05, 0.2, 1.0, 4.0, None):  # a hub that was just killed may need a moment to be gone
            try:
                fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, lock)
                return
            except OSError:
                if seconds is None:
                    break
                time.sleep(seconds)
        self.leave()
        raise RunError(
            f"run {run} is at work elsewhere, in another process or from a copy of its directory; "
            "wait for that or stop it, then resume the original"
        )

    def begin_attempt(self, run: str, slice_: int, candidate: str) -> tuple[int, int | None]:
        """The attempt's number on the slice, counted now; and the tick of its NOT YET, if the same candidate had it."""
        with self._read(), self._write():
            query = (
                "SELECT a.attempt, a.promoted, coalesce(v.tick, 0) FROM attempts a "
                "LEFT JOIN verdicts v USING (run, slice, attempt) WHERE a.run=? AND a.slice=? AND a.candidate=?"
            )
            row = self._db.execute(query, (run, slice_, candidate)).fetchone()
            if row is not None:
                return msgspec.convert(row[0], int), None if row[1] is None else msgspec.convert(row[2], int)
            query = "SELECT coalesce(max(attempt), 0) + 1 FROM attempts WHERE run=? AND slice=?"
            (number,) = self._db.execute(query, (run, slice_)).fetchone()
            self._db.execute("INSERT INTO attempts VALUES (?,?,?,?,NULL)", (run, slice_, number, candidate))
        return number, None

    def disclosed_timing_bits(self, run: str, slice_: int, attempt: int) -> float:
        """Bits disclosed on the slice by the ticks of the answers before this attempt; of one that was never heard,
        someone may have seen every tick pass."""
        query = (
            "SELECT v.tick FROM attempts a LEFT JOIN verdicts v USING (run, slice, attempt) "
            "WHERE a.run=? AND a.slice=? AND a.attempt<?"
        )
        with self._read():
            rows = self._db.execute(query, (run, slice_, attempt)).fetchall()
            release_slots = [
                RELEASE_SLOTS - 1 if release_slot is None else msgspec.convert(release_slot, int)
                for (release_slot,) in rows
            ]
            if not all(0 <= release_slot < RELEASE_SLOTS for release_slot in release_slots):
                raise ValueError(f"an answer of run {run} at a tick that there is none of")
            return sum(release_bits(release_slot) for release_slot in release_slots)

    def refuse(self, run: str, slice_: int, attempt: int, why: GateVerdict, release_slot: int, error: str = "") -> None:
        """NOT YET, and what stood behind it. error: what ended the hidden work, for the operator after the run."""
        with self._write():
            self._decide(run, slice_, attempt, why, release_slot, error)

    def _decide(self, run: str, slice_: int, attempt: int, why: GateVerdict, release_slot: int, error: str) -> None:
        query = "UPDATE attempts SET promoted=? WHERE run=? AND slice=? AND attempt=?"
        self._db.execute(query, (int(why.promoted), run, slice_, attempt))
        row = (run, slice_, attempt, release_slot, why.log_e, why.level, why.draws, error)
        self._db.execute("INSERT INTO verdicts VALUES (?,?,?,?,?,?,?,?)", row)

    def promote(
        self,
        run: str,
        slice_: int,
        attempt: int,
        champion: Candidate,
        measured: Estimate,
        why: GateVerdict,
        release_slot: int,
        base_delay_exponent: int = 0,
    ) -> None:
        """The answer and the new champion in one transaction; the slice is burned by the champion's existence. pace: of
        the schedule that its attempt was answered on."""
        with self._write():
            self._decide(run, slice_, attempt, why, release_slot, "")
            row = (run, slice_, wire.encode(champion), wire.encode(measured))
            self._db.execute("INSERT INTO champions VALUES (?,?,?,?)", row)
            self._db.execute("INSERT INTO paces VALUES (?,?,?)", (run, slice_, base_delay_exponent))

    def base_delay_exponent(self, run: str, slice_: int) -> int | None:
        """Of the schedule on which the champion of this slice was promoted; None where no record of it exists."""
        with self._read():
            row = self._db.execute("SELECT pace FROM paces WHERE run=? AND slice=?", (run, slice_)).fetchone()
            return None if row is None else msgspec.convert(row[0], Annotated[int, msgspec.Meta(ge=0, le=12)])

    def saw(self, run: str, candidate: str, incidents: list[Incident]) -> None:
        """Kept until the run is over; each kind of incident once per candidate."""
        if incidents:
            with self._write():
                rows = [(run, candidate, i.kind, i.severity, i.evidence) for i in incidents]
                self._db.executemany("INSERT OR IGNORE INTO incidents VALUES (?,?,?,?,?)", rows)

    def reserve_tokens(self, run: str, key: bytes, most: int, total_token_cap: int) -> bool:
        """May a question that takes up to `most` tokens be asked, when all runs together may use `total_token_cap`?
        Counted here before it is asked, so that neither hubs side by side nor a killed one spend more."""
        with self._read(), self._write():
            query = "SELECT sum(tokens), max(tokens) FROM spending WHERE NOT (run=? AND key=?)"
            spent, largest = self._db.execute(query, (run, key)).fetchone()
            most = max(most, largest or 0)  # some models think before they reply
            if (spent or 0) + most > total_token_cap:
                return False
            self._db.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?)", (run, key, most))
        return True

    def heard(self, run: str, reply: Reply) -> None:
        """Keeps what the model said to a candidate on a hidden draw, and what it took."""
        with self._write():
            values = (run, reply.key, wire.encode(reply))
            self._db.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", values)
            self._db.execute("UPDATE spending SET tokens=? WHERE run=? AND key=?", (reply.tokens, run, reply.key))

    def replies(self, run: str) -> list[Reply]:
        with self._read():
            rows = self._db.execute("SELECT body FROM replies WHERE run=? ORDER BY rowid", (run,)).fetchall()
            return [wire.decode(body, Reply) for (body,) in rows]

    def query(self, task: str, hidden: str, query: bytes, budget: int) -> int:
        """Counts a question to the task's oracle before it is answered; how many are left. hidden: whose secret it is
        about. Raises UsageError when none is left."""
        with self._read(), self._write():
            row = self._db.execute("SELECT count(*) FROM queries WHERE task=? AND hidden=?", (task, hidden)).fetchone()
            asked = int(row[0])
            if asked < budget:
                values = (task, hidden, asked + 1, time.time(), query)
                self._db.execute("INSERT INTO queries VALUES (?,?,?,?,?)", values)
        if asked >= budget:
            raise UsageError(f"the oracle of {task} has answered {asked} times, which is all it does for this vault")
        return budget - asked - 1

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
            "SELECT a.attempt, a.slice, c.measured, v.tick FROM attempts a JOIN champions c USING (run, slice) "
            "LEFT JOIN verdicts v USING (run, slice, attempt) WHERE a.run=? AND a.candidate=? AND a.promoted=1"
        )
        with self._read():
            row = self._db.execute(query, (run, candidate)).fetchone()
            if row is None:
                return None
            attempt, slice_, release_slot = msgspec.convert((*row[:2], row[3] or 0), tuple[int, int, int])
            return Answer(candidate, True, attempt, slice_, wire.decode(row[2], Estimate), release_slot)

    def attempts(self, run: str) -> int:
        with self._read():
            (n,) = self._db.execute("SELECT count(*) FROM attempts WHERE run=?", (run,)).fetchone()
            return int(n)

    def judged(self, run: str) -> list[RevealedVerdict]:
        """Every verdict of the run, for the day its test is opened."""
        query = (
            "SELECT a.slice, a.attempt, a.candidate, a.promoted, v.tick, v.log_e, v.level, v.draws, v.error "
            "FROM attempts a JOIN verdicts v USING (run, slice, attempt) WHERE run=? ORDER BY a.slice, a.attempt"
        )
        with self._read():
            rows = self._db.execute(query, (run,)).fetchall()
            names = RevealedVerdict.__struct_encode_fields__
            return [
                msgspec.convert(dict(zip(names, (*r[:3], bool(r[3]), *r[4:]), strict=True)), RevealedVerdict)
                for r in rows
            ]

    def open_test(self, run: SealedRun, candidate: str, head: str = "", beacon: str | None = None) -> int:
        """Counts an opening of the task's test over all runs and ends the run; the same candidate keeps its number.

        A rehearsal's test is no secret, so its opening is always the first and is not counted.
        """
        with self._read(), self._write():
            self._with_beacon(run, candidate, beacon)
            self._db.execute("UPDATE runs SET unsealed=1 WHERE run=?", (run.run,))
            self._db.execute("INSERT OR IGNORE INTO heads VALUES (?,?)", (run.run, head))
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


def kept_head(directory: Path, run: str) -> str | None:
    """The ledger's head at the commitment, as the vault in this directory remembers it; None if it does not."""
    rows = _kept(directory, "SELECT head FROM heads WHERE run=?", run)
    return str(rows[0][0]) if rows and rows[0][0] else None


def kept_replies(directory: Path, run: str) -> list[Reply] | None:
    """What candidates' model said on the run's hidden draws; None if the vault in this directory does not know it."""
    if not _kept(directory, "SELECT run FROM runs WHERE run=?", run):
        return None
    rows = _kept(directory, "SELECT body FROM replies WHERE run=? ORDER BY rowid", run)
    try:
        return None if rows is None else [wire.decode(body, Reply) for (body,) in rows]
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None


def _kept(directory: Path, query: str, run: str) -> list[Any] | None:
    """What the vault in this directory has to say; None for one that is damaged, not ours to read, or older."""
    path = directory / "sealed.db"
    try:
        if not path.is_file():
            return None
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True, timeout=60)
        ) as db:
            return db.execute(query, (run,)).fetchall()
    except (OSError, sqlite3.Error, UnicodeDecodeError):
        return None
