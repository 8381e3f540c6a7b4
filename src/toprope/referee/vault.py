"""The vault: the referee's durable state for a user, outside every run directory, readable by this user only.

It holds run secrets, attempts, champions and test openings over all runs. Each is written *before* it takes effect
(synchronous=FULL), so a crash never refunds an attempt or an opening.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from toprope import seeding, wire
from toprope.errors import RunError, UsageError
from toprope.models.messages import Reply
from toprope.referee.gate import GateVerdict
from toprope.referee.recorded import Answer, RevealedVerdict
from toprope.referee.vault_file import SCHEMA, check_tables, patiently
from toprope.stats.intervals import Estimate
from toprope.stats.leak import RELEASE_SLOTS, answer_bits, release_bits
from toprope.types import Candidate, Incident
from toprope.unix import fcntl

SECRET = "secret"  # the part of a run's marks that names the task's secret


class SealedRun(NamedTuple):
    """The vault's record of a run. number: place among its certifying runs on the task, over which alpha is spent; 1
    for a rehearsal."""

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
            f"run {run} is at session {presented}, and the vault {vault} {known}; "
            "set TOPROPE_VAULT to the vault that the run began with (not an older copy), or name its --referee"
        )
    return (
        f"this is a copy of run {run}: its last session was {presented}, the vault has seen {seen}; resume the original"
    )


class Vault:
    """One SQLite file, mode 0600, shared by all of a user's runs."""

    def __init__(self, directory: Path, notices_copies: bool = True) -> None:
        """directory: made if it is missing. notices_copies: False only in tests that show what copies of a run
        directory would gain. Raises RunError if the vault cannot be opened."""
        self._notices_copies = notices_copies
        self._lock: int | None = None
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = directory / "sealed.db"
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)  # a copy may have another mode
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=60)
            self._db.execute("PRAGMA synchronous=FULL")
            patiently(self._db, "PRAGMA journal_mode=WAL")
            self._db.executescript(SCHEMA)
            check_tables(self._db)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as e:  # SQLite quotes damaged names in its messages
            raise RunError(f"vault {directory}: {e}; set TOPROPE_VAULT to a directory you own on a local disk") from e

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        """One transaction: all of it is on disk at the end, or nothing."""
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
                f"cannot write the vault {self._path}: {e}; nothing is lost: repair that, then `toprope resume` the run"
            ) from e

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        """Inside, rows are read and converted to their types, because SQLite does not notice all damage. Raises
        RunError."""
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, TypeError, OverflowError, OSError) as e:
            raise RunError(
                f"the vault {self._path} cannot be read: {e}; restore it from a copy, then `toprope resume` the run"
            ) from e

    def close(self) -> None:
        """Closes the file and ends the session, if one is open."""
        self.leave()
        self._db.close()

    @property
    def since(self) -> str:
        """Date of the vault's first run, YYYY-MM-DD; today if it has no run."""
        with self._read():
            (first,) = self._db.execute("SELECT min(created) FROM runs").fetchone()
            return time.strftime("%Y-%m-%d", time.localtime(first or time.time()))

    def open_run(self, run: str, task: str, rehearsal: str | None, beacon_round: str | None = None) -> SealedRun:
        """The run's sealed record, made at the first call; only then can a beacon's round be named. Raises RunError for
        a record that is damaged or of another task."""
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
                raise ValueError(f"its record of run {run} is damaged or not of task {task}")
        return known

    def commit(self, run: str, candidate: str, head: str) -> None:
        """Stores the candidate that the test with the beacon's value will be for; later calls change nothing."""
        with self._write():
            self._db.execute("UPDATE beacons SET candidate=? WHERE run=? AND candidate IS NULL", (candidate, run))
            self._db.execute("INSERT OR IGNORE INTO heads VALUES (?,?)", (run, head))

    def _with_beacon(self, run: SealedRun, candidate: str, value: str | None) -> None:
        """Checks and stores the beacon's value: a test with a beacon is opened for the candidate committed to, with one
        value only. Raises RunError otherwise."""
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

    def begin_session(
        self, run: str, task: str, rehearsal: str | None, presented: int, beacon_round: str | None = None
    ) -> tuple[SealedRun, int]:
        """Begins a session: the run's sealed record and the session's number. presented: the last one in its ledger.

        Only one session is open at a time. A number counts after `acknowledge` confirms that the ledger holds it; a
        session killed before that is continued from either number, so a kill never locks the original out. Raises
        RunError for a copy of a run directory.
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
        """Stores the digests of the task's behaviour (`tasks/mark.py`); later calls change nothing."""
        with self._write():
            rows = [(run, part, digest) for part, digest in mark.items()]
            self._db.executemany("INSERT OR IGNORE INTO marks VALUES (?,?,?)", rows)

    def marked(self, run: str) -> dict[str, str]:
        """The digests that `mark` stored; empty for a run that the vault does not know, or of an earlier version."""
        with self._read():
            rows = self._db.execute("SELECT part, digest FROM marks WHERE run=?", (run,)).fetchall()
            return msgspec.convert(dict(rows), dict[str, str])

    def disclosed_bits(self, task: str, secret: str) -> float:
        """Bits that the gate's answers disclosed in all certifying runs of a task with this secret (by its name)."""
        query = (
            "SELECT a.promoted, coalesce(v.tick, 0) FROM attempts a LEFT JOIN verdicts v USING (run, slice, attempt) "
            "JOIN runs r USING (run) JOIN marks m USING (run) "
            "WHERE r.task=? AND r.rehearsal=0 AND m.part=? AND m.digest=?"
        )
        with self._read():
            rows = self._db.execute(query, (task, SECRET, secret)).fetchall()
            return sum(answer_bits(bool(promoted), msgspec.convert(slot, int)) for promoted, slot in rows)

    def leave(self) -> None:
        """Ends the session; the end of the process does the same."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def acknowledge(self, run: str, session_number: int) -> None:
        """Notes that the run's ledger holds the number; only the directory with that ledger can begin the next
        session."""
        with self._write():
            self._db.execute(
                "UPDATE sittings SET acknowledged=? WHERE run=? AND seen=?", (session_number, run, session_number)
            )

    def _lock_session(self, run: str) -> None:
        """Locks the run until this process ends: one byte of one file, at a position computed from the run's name.
        Raises RunError if another process holds it."""
        place = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big") >> 2
        self._lock = os.open(self._path.with_name("sittings.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        for seconds in (0.05, 0.2, 1.0, 4.0, None):  # a hub that was just killed may need a moment to end
            try:
                fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, lock)
                return
            except OSError:
                if seconds is None:
                    break
                time.sleep(seconds)
        self.leave()
        raise RunError(
            f"run {run} is in use elsewhere, by another process or from a copy of its directory; "
            "wait for that or stop it, then resume the original"
        )

    def begin_attempt(self, run: str, slice_: int, candidate: str) -> tuple[int, int | None]:
        """The attempt's number on the slice, which counts from now on; and the release slot of its NOT YET, if the same
        candidate was refused before."""
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
        """Bits disclosed on the slice by the release slots of answers before this attempt. For an answer that was never
        heard the last slot is counted, because someone may have seen all slots pass."""
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
            if wrong := [s for s in release_slots if not 0 <= s < RELEASE_SLOTS]:
                last = RELEASE_SLOTS - 1
                raise ValueError(f"run {run} has an answer at release slot {wrong[0]}; expected 0 to {last}")
            return sum(release_bits(release_slot) for release_slot in release_slots)

    def refuse(self, run: str, slice_: int, attempt: int, why: GateVerdict, release_slot: int, error: str = "") -> None:
        """Stores a NOT YET and its evidence. error: what ended the hidden work, for the operator after the run."""
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
        """Stores the answer and the new champion in one transaction; a slice with a champion is burned.
        base_delay_exponent: of the schedule of its attempt."""
        with self._write():
            self._decide(run, slice_, attempt, why, release_slot, "")
            row = (run, slice_, wire.encode(champion), wire.encode(measured))
            self._db.execute("INSERT INTO champions VALUES (?,?,?,?)", row)
            self._db.execute("INSERT INTO paces VALUES (?,?,?)", (run, slice_, base_delay_exponent))

    def base_delay_exponent(self, run: str, slice_: int) -> int | None:
        """The exponent of the schedule on which the champion of this slice was promoted; None without a record."""
        with self._read():
            row = self._db.execute("SELECT pace FROM paces WHERE run=? AND slice=?", (run, slice_)).fetchone()
            return None if row is None else msgspec.convert(row[0], Annotated[int, msgspec.Meta(ge=0, le=12)])

    def saw(self, run: str, candidate: str, incidents: list[Incident]) -> None:
        """Keeps incidents until the run is over; each kind and severity once per candidate."""
        if incidents:
            with self._write():
                rows = [(run, candidate, i.kind, i.severity, i.evidence) for i in incidents]
                self._db.executemany("INSERT OR IGNORE INTO incidents VALUES (?,?,?,?,?)", rows)

    def reserve_tokens(self, run: str, key: bytes, most: int, total_token_cap: int) -> bool:
        """Whether a question that may take `most` tokens fits the cap of all runs together. It is counted here before
        it is asked, so that neither parallel hubs nor a killed one can exceed the cap."""
        with self._read(), self._write():
            query = "SELECT sum(tokens), max(tokens) FROM spending WHERE NOT (run=? AND key=?)"
            spent, largest = self._db.execute(query, (run, key)).fetchone()
            most = max(most, largest or 0)  # some models use more than `most`, for thinking
            if (spent or 0) + most > total_token_cap:
                return False
            self._db.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?)", (run, key, most))
        return True

    def heard(self, run: str, reply: Reply) -> None:
        """Keeps the model's reply to a candidate on a hidden draw, and its cost in tokens."""
        with self._write():
            values = (run, reply.key, wire.encode(reply))
            self._db.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", values)
            self._db.execute("UPDATE spending SET tokens=? WHERE run=? AND key=?", (reply.tokens, run, reply.key))

    def replies(self, run: str) -> list[Reply]:
        with self._read():
            rows = self._db.execute("SELECT body FROM replies WHERE run=? ORDER BY rowid", (run,)).fetchall()
            return [wire.decode(body, Reply) for (body,) in rows]

    def query(self, task: str, hidden: str, query: bytes, budget: int) -> int:
        """Counts a question to the task's oracle before it is answered; returns how many are left. hidden: name of the
        secret that the oracle uses. budget: questions per task and secret. Raises UsageError when it is used up."""
        with self._read(), self._write():
            row = self._db.execute("SELECT count(*) FROM queries WHERE task=? AND hidden=?", (task, hidden)).fetchone()
            asked = int(row[0])
            if asked < budget:
                values = (task, hidden, asked + 1, time.time(), query)
                self._db.execute("INSERT INTO queries VALUES (?,?,?,?,?)", values)
        if asked >= budget:
            raise UsageError(f"the oracle of {task} has answered {asked} times, the limit for one vault")
        return budget - asked - 1

    def seen(self, run: str) -> dict[str, list[Incident]]:
        """Candidate -> its incidents on hidden draws."""
        found: dict[str, list[Incident]] = {}
        query = "SELECT candidate, kind, severity, evidence FROM incidents WHERE run=? ORDER BY rowid"
        with self._read():
            for row in self._db.execute(query, (run,)):
                candidate, *incident = msgspec.convert(row, tuple[str, str, str, str])
                found.setdefault(candidate, []).append(Incident(*incident))
        return found

    def champions(self, run: str) -> list[tuple[Candidate, Estimate]]:
        """Promoted candidates and their measurements in order; the s-th one (from 1) burned slice s."""
        with self._read():
            rows = self._db.execute("SELECT candidate, measured FROM champions WHERE run=? ORDER BY slice", (run,))
            return [(wire.decode(c, Candidate), wire.decode(m, Estimate)) for c, m in rows]

    def past_answer(self, run: str, candidate: str) -> Answer | None:
        """The candidate's PROMOTE, for a run that lost the answer in a crash; None if it has none."""
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
        """Every verdict of the run, revealed when its test is opened."""
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
        """Counts an opening of the task's test over all runs, and ends the run; the same candidate keeps its number.

        The test of a rehearsal is not secret, so its opening is always number 1 and does not count.
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
