"""The ledger: what is appended can be replayed, and nothing that was changed goes unnoticed."""

import sqlite3
import time
from contextlib import closing

import msgspec
import pytest

from toprope.errors import RunError
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import Committed, record


class Note(msgspec.Struct, frozen=True):
    text: str


def filled(tmp_path, n=3):
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    for i in range(n):
        ledger.append("commit", Committed(f"c{i}"))
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
    """A kind this version does not know is never skipped silently."""
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    entry = ledger.append("novelty", Note("x"))
    with pytest.raises(RunError, match="use the version that made the run"):
        record(entry)
    ledger.close()


def test_a_ledger_with_other_tables_is_refused(tmp_path):
    """A view or trigger of a stranger could act, or have no end."""
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("CREATE TRIGGER late AFTER INSERT ON entries BEGIN DELETE FROM entries; END")
    db.close()
    with pytest.raises(RunError, match="other tables"):
        SqliteLedger(tmp_path / "ledger.db")


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
