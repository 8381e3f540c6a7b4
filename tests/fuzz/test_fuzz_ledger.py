"""Ledgers of strangers: any file is the story it was, a true beginning of it, or refused in one line."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from fuzzing import both_forms, fuzz, outcome, scalars, spoiled, twisted
from hypothesis import strategies as st

from toprope.journal.export import export, summary
from toprope.journal.ledger import GENESIS, entry_hash, read_entries
from toprope.journal.reading import read
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice
from toprope.view import terminal
from toprope.view.report import render
from toprope.view.text import clean_all, ending, printable

pytestmark = pytest.mark.e2e

SCHEMA = "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB, hash BLOB) STRICT"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A run with failures, incidents, promotions and an open test."""
    import os
    import subprocess
    import sys

    base = tmp_path_factory.mktemp("finished")
    argv = ["climb", "testing/sly-coin-v1", "--experiments", "130", "--workers", "1", "--run", str(base / "run")]
    environment = {**os.environ, "TOPROPE_VAULT": str(base / "vault")}
    subprocess.run(
        [sys.executable, "-m", "toprope.cli", *argv, "--unseal", "--json"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    with contextlib.closing(sqlite3.connect(base / "run" / "ledger.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return base / "run"


@pytest.fixture(scope="module")
def entries(finished):
    """(kind, plain body) of every entry."""
    return [(e.kind, e.body) for e in read_entries(finished)]


def tier() -> Choice:
    raise AssertionError("a run with an open test needs no sandbox")


def told(run: Path):
    """Everything that reads a run, one after another; the strictest JSON stands for what they said."""

    def all_of_it():
        history = read(run)
        page = render(history)
        printable(ending(clean_all(summary(history)), "toprope unseal RUN"))
        if history.test is not None:  # else it would have work to do
            with terminal.screen() as screen, Session(run, None, tier, 1, screen) as session:
                session.climb()
        assert page.count("<script") == page.count("</script") == 1, "the data, which end where we end them"
        return json.dumps([export(history), summary(history)], allow_nan=False)

    return outcome(all_of_it)


def rebuilt(folder: Path, rows, schema=SCHEMA, head=GENESIS):
    """A ledger of these (kind, body) with a chain that holds, as anybody can make one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as db:
        db.execute("PRAGMA user_version=1")
        db.execute(schema)
        for seq, (kind, body) in enumerate(rows):
            head = entry_hash(head, seq, kind, body)
            db.execute("INSERT INTO entries VALUES (?,?,?,?)", (seq, kind, body, bytes.fromhex(head)))
        db.commit()
    return folder


@both_forms
def test_bytes_of_the_file(form, finished, tmp_path):
    """Flipped, cut or inserted bytes: the same entries as before, or one line that says the file is damaged."""
    whole = (finished / "ledger.db").read_bytes()
    true = [(e.kind, e.body, e.hash) for e in read_entries(finished)]
    run = tmp_path / "run"
    run.mkdir()

    def check(data):
        for left in run.iterdir():
            left.unlink()
        (run / "ledger.db").write_bytes(data)
        found, _ = outcome(read_entries, run)
        if found is not None:
            seen = [(e.kind, e.body, e.hash) for e in found]
            assert seen == true[: len(seen)]

    edges = st.sampled_from([0, 16, 18, 20, 24, 28, 40, 44, 52, 56, 60, 92, 100, 104, 108, 4096, 8192])
    bits = st.tuples(edges | st.integers(0, len(whole) - 1), st.integers(1, 255))
    flips = st.lists(bits, min_size=1, max_size=6).map(lambda some: _flipped(whole, some))
    cuts = st.integers(0, len(whole)).map(lambda n: whole[:n])
    fuzz("ledger: bytes", form, flips | cuts | spoiled(whole) | st.binary(max_size=300), check)


def _flipped(whole: bytes, some) -> bytes:
    data = bytearray(whole)
    for at, mask in some:
        data[at] ^= mask
    return bytes(data)


COLUMNS = st.sampled_from(["seq", "kind", "body", "hash"])
OTHER_SCHEMAS = [
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB, hash BLOB)",
    "CREATE TABLE entries (seq, kind, body, hash)",
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB) STRICT",
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, body BLOB, hash BLOB, more TEXT) STRICT",
    "CREATE TABLE other (x) STRICT".replace(" STRICT", ""),
    "CREATE VIEW entries AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) "
    "SELECT i AS seq, 'commit' AS kind, x'' AS body, x'' AS hash FROM n ORDER BY hash",
    "CREATE VIEW entries AS SELECT 0 AS seq, 'commit' AS kind, zeroblob(900000000) AS body, x'' AS hash",
]


@both_forms
def test_rows_and_tables(form, finished, entries, tmp_path):
    """Rows changed, exchanged, dropped or added, values of other types, other tables and views: as for bytes."""
    true = [(e.kind, e.body) for e in read_entries(finished)]
    top = len(true) - 1
    with contextlib.closing(sqlite3.connect(finished / "ledger.db")) as db:
        whole = db.execute("SELECT * FROM entries").fetchall()
    run = tmp_path / "run"

    def check(case):
        schema, edits = case
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        with contextlib.closing(sqlite3.connect(run / "ledger.db")) as db:
            db.execute("PRAGMA user_version=1")
            db.execute(schema)
            if schema != SCHEMA:
                with contextlib.suppress(sqlite3.Error):
                    db.executemany("INSERT INTO entries VALUES (?,?,?,?)", whole)
            else:
                db.executemany("INSERT INTO entries VALUES (?,?,?,?)", whole)
            for edit, values in edits:
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    db.execute(edit, values)
            db.commit()
        found, _ = outcome(read_entries, run)
        if found is not None:
            seen = [(e.kind, e.body) for e in found]
            assert seen == true[: len(seen)]

    seqs = st.integers(-1, top + 2)
    sql = st.one_of(scalars.map(lambda v: v if not isinstance(v, bool) else int(v)), st.text(max_size=3))
    edit = st.one_of(
        st.tuples(st.builds("UPDATE entries SET {} = ? WHERE seq = ?".format, COLUMNS), st.tuples(sql, seqs)),
        st.tuples(st.just("DELETE FROM entries WHERE seq = ?"), st.tuples(seqs)),
        st.tuples(st.just("DELETE FROM entries WHERE seq > ?"), st.tuples(seqs)),
        st.tuples(st.just("UPDATE entries SET seq = -seq - 2 WHERE seq IN (?, ?)"), st.tuples(seqs, seqs)),
        st.tuples(st.just("INSERT INTO entries VALUES (?,?,?,?)"), st.tuples(seqs, sql, sql, sql)),
        st.tuples(st.just("INSERT INTO entries SELECT ?, kind, body, hash FROM entries WHERE seq = ?"),
                  st.tuples(seqs, seqs)),
        st.tuples(st.builds("PRAGMA user_version={}".format, st.integers(-5, 5)), st.just(())),
        st.tuples(st.just("UPDATE entries SET kind = CAST(x'ff' AS TEXT) WHERE seq = ?"), st.tuples(seqs)),
    )  # fmt: skip
    schemas = st.just(SCHEMA) | st.sampled_from(OTHER_SCHEMAS)
    fuzz("ledger: tables", form, st.tuples(schemas, st.lists(edit, max_size=3)), check)


@both_forms
def test_records_that_nobody_would_write(form, entries, tmp_path):
    """A ledger with a good chain and senseless records: told in numbers that are some, or refused in one line."""
    plain = [(kind, msgspec.msgpack.decode(body, ext_hook=lambda code, data: msgspec.msgpack.Ext(code, bytes(data))))
             for kind, body in entries]  # fmt: skip
    first = {kind: i for i, (kind, _) in reversed(list(enumerate(plain)))}
    numbers = st.sampled_from(sorted(first.values())) | st.integers(0, len(plain) - 1)

    def twist(i):
        return st.tuples(st.just(i), twisted(plain[i][1], most=2))

    one = st.one_of(
        numbers.flatmap(twist).map(lambda pair: ("twist", *pair)),
        st.tuples(st.just("drop"), numbers),
        st.tuples(st.just("double"), numbers),
        st.tuples(st.just("move"), numbers, numbers),
        st.tuples(st.just("rename"), numbers, st.sampled_from([*sorted(first), "novelty", ""])),
        st.tuples(st.just("cut"), numbers),
    )

    def check(edits):
        rows = list(plain)
        for what, i, *more in edits:
            i = min(i, len(rows) - 1)
            match what:
                case "twist":
                    rows[i] = (rows[i][0], more[0])
                case "drop":
                    del rows[i]
                case "double":
                    rows.insert(i, rows[i])
                case "move":
                    rows.insert(min(more[0], len(rows) - 1), rows.pop(i))
                case "rename":
                    rows[i] = (more[0], rows[i][1])
                case "cut":
                    del rows[i:]
            if not rows:
                break
        run = rebuilt(tmp_path / "run", [(kind, msgspec.msgpack.encode(body)) for kind, body in rows])
        told(run)

    fuzz("ledger: records", form, st.lists(one, min_size=1, max_size=2), check)
