"""A checkpoint spares reading and decides nothing: torn, stale or forged it is as good as none."""

import hashlib
import shutil
import sqlite3
from contextlib import closing

import msgspec
import pytest
from test_large import long_run

from toprope import paths, wire
from toprope.errors import RunError
from toprope.journal import checkpoint, ledger, reading, records
from toprope.journal.export import summary
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.reading import read
from toprope.journal.records import Generation


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """Numbers of the entries that were hashed, with every ledger large and a key of this test's own."""
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    seen: list[int] = []
    true = ledger.entry_hash
    monkeypatch.setattr(ledger, "entry_hash", lambda head, seq, *rest: seen.append(seq) or true(head, seq, *rest))
    return seen


@pytest.fixture
def run(tmp_path, hashed):
    """A run of 42 entries that was read once."""
    folder = tmp_path / "run"
    folder.mkdir()
    long_run(folder, 20, 10)
    read(folder)
    hashed.clear()
    return folder


def told(run) -> dict:
    """What a reader sees, and the scores of every experiment."""
    history = read(run)
    scores, failed = history.dev_scores()
    digest = hashlib.sha256(b"".join(scores[e].tobytes() for e in sorted(scores))).hexdigest()
    return {**summary(history), "generations": history.generations, "scores": digest, "bad": failed}


def test_an_untouched_ledger_is_not_hashed_again(run, hashed):
    """Of 42 entries none is hashed, only the two rare ones are decoded, and the history is the same."""
    history = read(run)
    assert hashed == []
    assert (history.experiments, len(history.blocks), history.failures()) == (200, 20, {"crash": 20})
    with_it = told(run)
    (run / checkpoint.NAME).unlink()
    assert told(run) == with_it


def test_verify_hashes_every_entry(run, hashed):
    """From the first, whatever the checkpoint says."""
    read_entries(run)
    assert hashed == list(range(42))


def test_a_ledger_that_has_grown_is_hashed_whole_and_decoded_at_its_end(run, hashed, monkeypatch):
    """The tally of the checkpoint still holds, because the entry at which it was made has the same hash."""
    with closing(SqliteLedger(run / "ledger.db")) as grown:
        grown.append(Generation(20, 200, 20.0, read(run).generations[-1].best, 0, 0, 0))
    hashed.clear()
    decoded: list[int] = []
    true = records.record
    monkeypatch.setattr(reading, "record", lambda e: decoded.append(e.seq) or true(e))
    assert len(read(run).generations) == 21
    assert hashed == list(range(43))
    assert decoded == [0, 1, 42]


@pytest.mark.parametrize("at", [3, 20, 41])
def test_an_edit_is_found_although_there_is_a_checkpoint(run, at):
    """Of an entry that the checkpoint covers, in the middle or at its end."""
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute("UPDATE entries SET body = CAST(substr(body, 1, length(body) - 1) || x'07' AS BLOB) WHERE seq = ?",
                   (at,))  # fmt: skip
    with pytest.raises(RunError, match=f"entry {at} does not match its hash"):
        read(run)


def test_a_truncated_ledger_is_told_as_it_is(run, hashed):
    """A true beginning of a run is a run; a checkpoint of its former end says nothing about it."""
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute("DELETE FROM entries WHERE seq >= 22")
    assert read(run).experiments == 100
    assert hashed == list(range(22))


def forged(run, key: bytes, **changes) -> bytes:
    """A checkpoint with other contents, marked with a key."""
    found = checkpoint.load(run / "ledger.db")
    assert found is not None
    data = wire.encode(msgspec.structs.replace(found, **changes))
    return checkpoint._mark(key, data) + data


@pytest.mark.parametrize("how", ["torn", "empty", "flipped", "stranger's", "other run's", "old form", "a folder"])
def test_a_checkpoint_that_cannot_be_believed_is_ignored(run, tmp_path, how, hashed):
    """The run is read from its entries, all of them hashed, and told as it is."""
    path = run / checkpoint.NAME
    truth, data = told(run), path.read_bytes()
    hashed.clear()
    lie = Generation(0, 10**9, 0.0, 99.0, 0, 0, 0)
    tally = checkpoint.load(run / "ledger.db").tally
    match how:
        case "torn":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "flipped":
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "stranger's":
            tally.generations.append(lie)
            path.write_bytes(forged(run, b"k" * 32, tally=tally))
        case "other run's":
            (tmp_path / "other").mkdir()
            long_run(tmp_path / "other", 21, 10)
            read(tmp_path / "other")
            shutil.copyfile(tmp_path / "other" / checkpoint.NAME, path)
        case "old form":
            path.write_bytes(forged(run, checkpoint._key(), form=0))
        case "a folder":
            path.unlink()
            path.mkdir()
    hashed.clear()
    assert read(run).experiments == 200
    assert hashed[:42] == list(range(42))
    assert told(run) == truth


def test_a_copied_run_is_hashed_again(run, tmp_path, hashed):
    """The files are others, so nothing is believed but what the chain proves."""
    shutil.copytree(run, tmp_path / "copy")
    assert read(tmp_path / "copy").experiments == 200
    assert hashed == list(range(42))


def test_without_a_key_nothing_is_kept(run, hashed, monkeypatch, tmp_path):
    """A cache folder that cannot be written: every reader hashes the chain."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "file" / "below")
    for _ in range(2):
        hashed.clear()
        assert read(run).experiments == 200
        assert hashed == list(range(42))


def test_a_small_ledger_has_none(tmp_path):
    """Below LARGE bytes reading is quicker than keeping."""
    long_run(tmp_path, 20, 10)
    read(tmp_path)
    assert not (tmp_path / checkpoint.NAME).exists()
