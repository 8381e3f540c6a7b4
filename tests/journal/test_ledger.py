"""The ledger: what is appended can be replayed, and nothing that was changed goes unnoticed."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import msgspec
import pytest

from toprope.errors import RunError
from toprope.journal import ledger as ledger_module
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import Committed, record
from toprope.protocols import Entry
from toprope.wire import encode


class Note(msgspec.Struct, frozen=True):
    text: str


def filled(tmp_path, n=3):
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    for i in range(n):
        ledger.append(Committed(f"c{i}"))
    return ledger


def test_entries_come_back_in_order_with_the_same_head(tmp_path):
    """Reopening gives the same records and the same chain head."""
    ledger = filled(tmp_path)
    head = ledger.head
    ledger.close()
    again = SqliteLedger(tmp_path / "ledger.db")
    assert [record(e).candidate for e in again.read()] == ["c0", "c1", "c2"]
    assert again.head == head
    again.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET body = x'81a963616e646964617465a27878' WHERE seq=1",
        "UPDATE entries SET kind = 'open' WHERE seq=1",
        "DELETE FROM entries WHERE seq=1",
        "UPDATE entries SET seq = 7 WHERE seq=2",
    ],
)
def test_an_edited_ledger_is_refused(tmp_path, damage):
    """Any change to a past entry breaks the chain, and the message names the file."""
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(damage)
    db.close()
    with pytest.raises(RunError, match=r"ledger\.db is damaged or was edited"):
        SqliteLedger(tmp_path / "ledger.db")


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    """Garbage ends in one clear line, not in a traceback of sqlite."""
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 400)
    with pytest.raises(RunError, match="no ledger"):
        SqliteLedger(tmp_path / "ledger.db")


def test_a_ledger_of_another_format_is_refused(tmp_path):
    """A newer format is named with both versions."""
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(RunError, match="format 99, this toprope reads 1"):
        SqliteLedger(tmp_path / "ledger.db")


def test_two_processes_cannot_write_one_run(tmp_path):
    """The second opener is told that the run is in use; reading stays possible."""
    ledger = filled(tmp_path)
    with pytest.raises(RunError, match="in use by another process"):
        SqliteLedger(tmp_path / "ledger.db")
    assert len(read_entries(tmp_path)) == 3
    ledger.close()


def test_a_missing_run_is_named(tmp_path):
    """Resuming what is not there says what was expected."""
    with pytest.raises(RunError, match="no run at"):
        SqliteLedger(tmp_path / "ledger.db")


def test_an_unknown_record_is_refused(tmp_path):
    """A type that has no kind is not written, and a kind this version does not know is never skipped silently."""
    with closing(SqliteLedger(tmp_path / "ledger.db", create=True)) as ledger:
        with pytest.raises(KeyError):
            ledger.append(Note("x"))
        assert list(ledger.read()) == []
    with pytest.raises(RunError, match="use the version that made the run"):
        record(Entry(0, "novelty", encode(Note("x")), ""))


def test_a_ledger_with_other_tables_is_refused(tmp_path):
    """A view or trigger of a stranger could act, or have no end."""
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("CREATE TRIGGER late AFTER INSERT ON entries BEGIN DELETE FROM entries; END")
    db.close()
    with pytest.raises(RunError, match="other tables"):
        SqliteLedger(tmp_path / "ledger.db")


@pytest.mark.slow
def test_a_ledger_that_is_there_can_be_resumed(cli, tmp_path):
    """Whenever a starting climb is killed: no ledger.db, or one whose first entry says what was asked for."""
    for number in range(6):
        run = tmp_path / f"run-{number}"
        process = cli.start("climb", "testing/coin-v1", "--experiments", 10, "--workers", 1, "--run", run)
        while not (run / "ledger.db").exists():
            time.sleep(0.0005 * number)
        process.kill()
        process.communicate()
        with closing(SqliteLedger(run / "ledger.db")) as ledger:
            assert next(ledger.read()).kind == "ask"


# ---------------------------------------------------------------- observers


class Listener:
    def __init__(self, ledger=None, fails_at=None):
        self.heard, self._ledger, self._fails_at = [], ledger, fails_at

    def hear(self, record):
        if self._ledger is not None:
            assert list(self._ledger.read())[-1].body == encode(record), "what is heard is recorded already"
        self.heard.append(record)
        if len(self.heard) == self._fails_at:
            raise ValueError("\x1b[2J out of paint")


def test_observers_hear_what_is_recorded(tmp_path):
    """Every record, once, in the ledger's order, and only when a reader would find it."""
    with closing(filled(tmp_path, 2)) as ledger:
        listener = Listener(ledger)
        ledger.observers.append(listener)
        for i in range(3):
            ledger.append(Committed(f"d{i}"))
    assert listener.heard == [Committed(f"d{i}") for i in range(3)]


def test_an_observer_that_raises_loses_no_record(tmp_path, capsys):
    """The record stands, others hear it, the one that failed hears no more, and one line says what happened."""
    with closing(filled(tmp_path, 0)) as ledger:
        bad, good = Listener(fails_at=2), Listener()
        ledger.observers += [bad, good]
        for i in range(4):
            ledger.append(Committed(f"c{i}"))
        assert [record(e) for e in ledger.read()] == good.heard == [Committed(f"c{i}") for i in range(4)]
    assert bad.heard == good.heard[:2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("toprope: observer Listener failed at a record of kind 'commit' and is removed")
    assert line.isprintable()


def test_ctrl_c_in_an_observer_interrupts_the_run(tmp_path):
    """Ctrl-C while something is drawn is the user's word; the record stands."""
    with closing(filled(tmp_path, 0)) as ledger:
        listener = Listener()
        listener.hear = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
        ledger.observers.append(listener)
        with pytest.raises(KeyboardInterrupt):
            ledger.append(Committed("c0"))
        assert len(list(ledger.read())) == 1


# ---------------------------------------------------------------- following

WRITER = """
import sys
from pathlib import Path
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Committed
ledger = SqliteLedger(Path(sys.argv[1]))
for line in sys.stdin:
    ledger.append(Committed(line.strip()))
    print("ok", flush=True)
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that appends to the ledger of three entries; called with a word, it returns when that is in."""
    filled(tmp_path).close()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "ledger.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def write(word: str) -> None:
        process.stdin.write(word + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ok\n"

    yield write
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def hashed(monkeypatch):
    """Numbers of the entries that were hashed."""
    seen = []
    real = ledger_module.entry_hash

    def counting(previous, seq, kind, body):
        seen.append(seq)
        return real(previous, seq, kind, body)

    monkeypatch.setattr(ledger_module, "entry_hash", counting)
    return seen


@pytest.mark.e2e
def test_a_reader_follows_a_growing_ledger(writer, tmp_path, hashed):
    """It hashes everything once and then only what is new; an opening afterwards agrees with it."""
    with closing(SqliteLedger(tmp_path / "ledger.db", readonly=True)) as reader:
        assert hashed == [0, 1, 2]
        assert reader.follow() == []
        writer("d")
        writer("e")
        assert [record(e).candidate for e in reader.follow()] == ["d", "e"]
        assert hashed == [0, 1, 2, 3, 4]
        assert reader.follow() == []
        writer("f")
        assert [record(e).candidate for e in reader.follow()] == ["f"]
        assert [record(e).candidate for e in reader.read(since=4)] == ["e", "f"]
        assert hashed == [0, 1, 2, 3, 4, 5]
        length, head = reader.length, reader.head
    entries = read_entries(tmp_path)
    assert (len(entries), entries[-1].hash) == (length, head)


def execute(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


CHANGES = {
    "cut": (["DELETE FROM entries WHERE seq > 0"], "truncated or replaced"),
    "emptied": (["DELETE FROM entries"], "truncated or replaced"),
    "made anew": (["UPDATE entries SET hash = zeroblob(32) WHERE seq = 2"], "truncated or replaced"),
    "a new entry without a hash": (
        ["INSERT INTO entries VALUES (3, 'commit', x'81a963616e646964617465a27878', zeroblob(32))"],
        "damaged or was edited: entry 3",
    ),
    "a gap": (
        ["INSERT INTO entries VALUES (5, 'commit', x'81a963616e646964617465a27878', zeroblob(32))"],
        "damaged or was edited: entry 3",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_while_it_was_read_is_refused(tmp_path, name):
    """Entries that vanished, a chain that was made anew, and new entries that do not follow."""
    statements, words = CHANGES[name]
    filled(tmp_path).close()
    with closing(SqliteLedger(tmp_path / "ledger.db", readonly=True)) as reader:
        execute(tmp_path / "ledger.db", *statements)
        with pytest.raises(RunError, match=words):
            reader.follow()


def test_an_edit_in_place_is_found_by_the_next_opening(tmp_path):
    """A reader that has checked an entry does not hash it again; opening the ledger does."""
    filled(tmp_path).close()
    with closing(SqliteLedger(tmp_path / "ledger.db", readonly=True)) as reader:
        execute(tmp_path / "ledger.db", "UPDATE entries SET body = x'81a963616e646964617465a27878' WHERE seq = 1")
        assert reader.follow() == []
    with pytest.raises(RunError, match="damaged or was edited: entry 1"):
        read_entries(tmp_path)
