"""Notes of a run's operator to its authors, sent while they work.

A note is a file that one rename puts into RUN/notes. The process that climbs takes it up when an author that it is for
has a turn: it appends the note to the ledger, removes the file, and only then shows the note. A kill therefore loses no
note. The name of the file stands in the record, so that no note is recorded twice. Nothing that an author causes is
ever written here, so notes carry nothing outward.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from toprope.errors import UsageError
from toprope.journal.history import RunHistory
from toprope.journal.records import NOTE_MAX, Note, record
from toprope.protocols import Ledger
from toprope.run.upkeep import held

MOST = 50  # notes of a run: a conversation that begins anew is told all of them
FILE_MAX = 16 << 10  # bytes: NOTE_MAX characters, each written in the longest way of JSON


class Sent(msgspec.Struct, frozen=True):
    """A note on its way. to: name of an author, "" for all. sent: seconds since the epoch."""

    to: str
    text: str
    sent: float


def send(run: Path, s: RunHistory, text: str, to: str = "") -> Sent:
    """Leaves a note for the process that climbs the run. to: name of an author, "" for all. Raises UsageError for a
    note that nobody would read, to an unknown author, with no words or too many, and for one beyond MOST."""
    if why := refusal(run, s):
        raise UsageError(why)
    if to and to not in (known := authors(run)):
        raise UsageError(
            f"author {to[:64]!r} is unknown in run {run}; expected one of {', '.join(known) or '(nobody has begun)'}"
        )
    text = "\n".join(text.encode("utf-8", "replace").decode().splitlines()).strip()
    if not 0 < len(text) <= NOTE_MAX:
        raise UsageError(f"a note of {len(text)} characters; expected 1 to {NOTE_MAX}; write a shorter one")
    if (given := len(s.notes) + len(waiting(run))) >= MOST:
        raise UsageError(f"run {run} has been given {given} notes, the most that it may; let its authors work")
    note = Sent(to, text, round(time.time(), 3))
    folder, name = run / "notes", f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(exist_ok=True)
        (folder / f".{name}").write_bytes(msgspec.json.encode(note))
        os.rename(folder / f".{name}", folder / f"{name}.json")
    except OSError as e:
        raise UsageError(f"cannot write {folder}: {e.strerror}; the run's directory must be yours to write") from e
    return note


def refusal(run: Path, s: RunHistory) -> str:
    """Why nobody would read a note to this run; empty while somebody may."""
    spec = s.opening.spec
    if spec.plan is None:
        return (
            f"run {run} is climbed by {spec.climber.label}, which reads no notes; they are for researchers "
            "(`--climber llm`) and agents (`toprope mcp`)"
        )
    if s.committed is not None:
        return f"run {run} has committed to its champion and is over; begin a new run"
    if not held(run):
        again = f"toprope resume {run}" if spec.plan.model else f"toprope mcp {spec.task} --run {run}"
        return f"nobody climbs run {run}, so nobody would read the note; `{again}` goes on with it"
    return ""


def authors(run: Path) -> list[str]:
    """Names of those who have a workspace in the run."""
    return sorted(path.parent.name for path in (run / "researchers").glob("*/room"))


def waiting(run: Path) -> list[Path]:
    """Files of notes that no author has had a turn to read, oldest first."""
    return sorted((run / "notes").glob("*.json"))


class Inbox:
    """The notes of one session: those in the ledger, and those that arrive.

    lock: guards the list, and is held while a note is recorded. closed: whether the session takes no new work. made:
    number of experiments of the run so far."""

    def __init__(
        self,
        ledger: Ledger,
        run: Path,
        lock: AbstractContextManager[object],
        closed: Callable[[], bool],
        made: Callable[[], int],
    ) -> None:
        self._ledger, self._run, self._lock, self._closed, self._made = ledger, run, lock, closed, made
        self.notes: list[Note] = list(map(record, ledger.read("note")))

    def take(self, author: str) -> list[Note]:
        """Every note to this author, or to all, in the ledger's order; those that wait are recorded first."""
        with self._lock:
            for path in [] if self._closed() else waiting(self._run):
                self._take(path, author)
            return [note for note in self.notes if note.to in ("", author)]

    def _take(self, path: Path, author: str) -> None:
        """Records one file if it is a note to this author. Another file is left where it lies."""
        if all(note.id != path.stem for note in self.notes):
            sent = _read(path)
            if sent is None or sent.to not in ("", author) or len(self.notes) >= MOST:
                return
            note = Note(len(self.notes) + 1, sent.to, sent.text, path.stem, sent.sent, self._made())
            self._ledger.append(note)
            self.notes.append(note)
        with contextlib.suppress(OSError):  # the ledger's id keeps it from being recorded again
            path.unlink()


def _read(path: Path) -> Sent | None:
    """The note in a file; None if it holds no sound one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            data = file.read(FILE_MAX + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        found = msgspec.json.decode(data, type=Sent)
    except (OSError, msgspec.MsgspecError):
        return None
    named = found.to == "" or (len(found.to) <= 64 and found.to.isprintable())
    sound = named and 0 < len(found.text) <= NOTE_MAX and 0 <= found.sent < 1e11 and len(path.stem) <= 64
    return found if sound and len(data) <= FILE_MAX else None
