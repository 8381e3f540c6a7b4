"""Notes of the operator: what is refused, and that a file becomes one entry of the ledger, whenever a kill comes."""

import os
import threading

import histories
import msgspec
import pytest

from toprope.errors import RunError, UsageError
from toprope.journal.ledger import SqliteLedger
from toprope.journal.reading import from_entries
from toprope.journal.records import NOTE_MAX, Committed, Note, SessionRecord
from toprope.journal.spec import External, Plan, Replay, Researchers
from toprope.run import notes
from toprope.run.notes import Inbox


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run directory with the workspaces of ada and blaise, which a process seems to hold."""
    for name in ("ada", "blaise"):
        (tmp_path / "run" / "researchers" / name / "room").mkdir(parents=True)
    (tmp_path / "run" / "researchers" / "transcripts").mkdir()
    monkeypatch.setattr(notes, "held", lambda _: True)
    return tmp_path / "run"


def history(climber=None, **changes):
    s = histories.history(tested=False)
    s.opening = histories.opening(climber=climber or Researchers(Plan("p/m", 2, ["a", "b"])))
    return msgspec.structs.replace(s, **changes)


def inbox(run, closed=False):
    """A new session on the run's ledger, which is made at first."""
    new = not (run / "ledger.db").exists()
    ledger = SqliteLedger(run / "ledger.db", create=new)
    if new:
        opening = history().opening
        for entry in (opening.spec, SessionRecord(1), opening):
            ledger.append(entry)
    return Inbox(ledger, run, threading.RLock(), lambda: closed, lambda: 7), ledger


def recorded(run):
    ledger = SqliteLedger(run / "ledger.db", readonly=True)
    try:
        return from_entries(str(run), list(ledger.read())).notes
    finally:
        ledger.close()


REFUSED = {
    "no words": ({"text": " \n\t "}, "a note of 0 characters; expected 1 to 1000"),
    "too many words": ({"text": "x" * (NOTE_MAX + 1)}, "a note of 1001 characters"),
    "an unknown author": ({"to": "carl"}, "author 'carl' is unknown in run .*; expected one of ada, blaise"),
    "a path": ({"to": "../ada"}, r"author '\.\./ada' is unknown"),
    "a run without authors": ({"s": history(Replay("f"))}, "climbed by replay:f, which reads no notes"),
    "a run that is over": ({"s": history(committed=Committed("c"))}, "has committed to its champion and is over"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_note_that_helps_nobody_is_refused(run, name):
    """In one line, and nothing is left behind."""
    given, why = REFUSED[name]
    with pytest.raises(UsageError, match=why):
        notes.send(run, **{"s": history(), "text": "words", **given})
    assert not (run / "notes").exists()


@pytest.mark.parametrize(
    ("climber", "again"), [(None, "toprope resume {run}"), (External(), "toprope mcp testing/coin-v1 --run {run}")]
)
def test_a_run_that_nobody_climbs_reads_no_note(run, monkeypatch, climber, again):
    """The line says how the run goes on."""
    monkeypatch.undo()
    with pytest.raises(UsageError, match="nobody climbs run") as refused:
        notes.send(run, history(climber), "words")
    assert f"`{again.format(run=run)}` goes on" in str(refused.value)


def test_notes_are_few(run):
    """Those in the ledger and those that wait count; one that slipped past the sender is not recorded."""
    given = [Note(i + 1, "", "x", str(i), 1.0, 0) for i in range(notes.MOST - 1)]
    notes.send(run, history(notes=given), "the last one")
    with pytest.raises(UsageError, match=f"has been given {notes.MOST} notes, the most that it may"):
        notes.send(run, history(notes=given), "one more")
    (run / "ledger.db").unlink(missing_ok=True)
    box, ledger = inbox(run)
    box.notes = given + given[:1]
    assert len(box.take("ada")) == notes.MOST
    assert len(notes.waiting(run)) == 1
    ledger.close()


def test_a_note_reaches_whom_it_is_for(run):
    """In the order of sending; the note to somebody else waits until that one has a turn."""
    for to, text in (("blaise", "for blaise"), ("", "for all\r\nof you"), ("ada", "for ada")):
        notes.send(run, history(), text, to)
    box, ledger = inbox(run)
    assert [n.text for n in box.take("ada")] == ["for all\nof you", "for ada"]
    assert len(notes.waiting(run)) == 1
    assert [n.text for n in box.take("blaise")] == ["for all\nof you", "for blaise"]
    assert [(n.number, n.to, n.experiments) for n in recorded(run)] == [(1, "", 7), (2, "ada", 7), (3, "blaise", 7)]
    assert box.take("ada") == [n for n in recorded(run) if n.to != "blaise"]
    assert not list((run / "notes").iterdir())
    ledger.close()


def test_a_session_that_is_over_records_nothing(run):
    """Nothing but the test follows a commitment."""
    notes.send(run, history(), "too late")
    box, ledger = inbox(run, closed=True)
    assert not box.take("ada")
    assert len(notes.waiting(run)) == 1
    ledger.close()


def test_a_kill_before_the_record_loses_no_note(run, monkeypatch):
    """The file is still there, and the next session records it once."""
    notes.send(run, history(), "words")
    box, ledger = inbox(run)

    def killed(_):
        raise RunError("no space")

    monkeypatch.setattr(ledger, "append", killed)
    with pytest.raises(RunError):
        box.take("ada")
    assert not box.notes
    ledger.close()
    box, ledger = inbox(run)
    assert [n.text for n in box.take("ada")] == ["words"]
    assert len(recorded(run)) == 1
    ledger.close()


def test_a_kill_after_the_record_tells_no_note_twice(run):
    """The file is still there, too; the id in the ledger says that it was recorded."""
    notes.send(run, history(), "words")
    (path,) = notes.waiting(run)
    left = path.read_bytes()
    for _ in range(2):
        box, ledger = inbox(run)
        assert [n.text for n in box.take("ada")] == ["words"]
        assert not path.exists()
        path.write_bytes(left)
        ledger.close()
    assert len(recorded(run)) == 1


def odd(folder):
    """Files of other kinds, or with more than a note may have."""
    (folder / "1.json").write_text("{not json")
    (folder / "2.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "3.json")
    (folder / "4.json").write_text('{"to": "", "text": "' + "x" * (NOTE_MAX + 1) + '", "sent": 1}')
    (folder / "5.json").write_text('{"to": "\x1b[2J", "text": "x", "sent": 1}')
    (folder / "6.json").write_text('{"to": "", "text": "", "sent": 1}')
    (folder / "7.json").write_text('{"to": "", "text": "x", "sent": -1}')
    (folder / "8.json").write_bytes(b" " * notes.FILE_MAX + b'{"to": "", "text": "x", "sent": 1}')
    (folder / "9.json").mkdir()
    (folder / f"{'a' * 70}.json").write_text('{"to": "", "text": "x", "sent": 1}')


def test_a_file_that_is_no_note_is_left_alone(run):
    """However it came there; a note beside it arrives."""
    (run / "notes").mkdir()
    odd(run / "notes")
    notes.send(run, history(), "words")
    box, ledger = inbox(run)
    assert [n.text for n in box.take("ada")] == ["words"]
    assert len(notes.waiting(run)) == 10
    ledger.close()


NOTE = Note(1, "", "words", "0-a", 1.0, 0)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ([msgspec.structs.replace(NOTE, number=2)], "note 1 has a wrong number"),
        ([msgspec.structs.replace(NOTE, to="\x1b")], "a name that cannot be printed"),
        ([msgspec.structs.replace(NOTE, text="x" * (NOTE_MAX + 1))], "too many words"),
        ([msgspec.structs.replace(NOTE, sent=float("nan"))], "note 1 has"),
        ([NOTE, msgspec.structs.replace(NOTE, number=2)], "holds one note twice"),
        ([msgspec.structs.replace(NOTE, experiments=5), Note(2, "", "x", "0-b", 1.0, 4)], "note 2 has"),
    ],
)
def test_a_ledger_with_odd_notes_is_refused(run, kept, why):
    """Also one of a stranger who made a new chain."""
    _, ledger = inbox(run)
    for note in kept:
        ledger.append(note)
    ledger.close()
    with pytest.raises(RunError, match=why):
        recorded(run)


def test_notes_need_authors(tmp_path):
    """A ledger of a climber cannot hold any."""
    ledger, opening = SqliteLedger(tmp_path / "ledger.db", create=True), histories.opening()
    for entry in (opening.spec, SessionRecord(1), opening, NOTE):
        ledger.append(entry)
    with pytest.raises(RunError, match="holds notes to authors, and has no authors"):
        from_entries("x", list(ledger.read()))
    ledger.close()
