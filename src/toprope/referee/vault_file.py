"""The vault's file: its tables, and what a reader without a run of its own may take from it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from toprope import wire
from toprope.models.messages import Reply

SCHEMA = """
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


def _columns(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Table -> its columns. Raises sqlite3.DatabaseError for a vault with triggers or views, which run code."""
    (acting,) = db.execute("SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
    if acting:
        raise sqlite3.DatabaseError("it holds triggers or views")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()]
    query = "SELECT name, type, pk FROM pragma_table_info(?)"
    return {name: db.execute(query, (name,)).fetchall() for name in tables}


def check_tables(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError unless every table of ours has our columns; other tables are allowed."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(SCHEMA)
        wanted, found = _columns(model), _columns(db)
    for name, columns in wanted.items():
        if found.get(name) != columns:
            raise sqlite3.DatabaseError(f"its table {name} has other columns than this version of toprope knows")


def patiently(db: sqlite3.Connection, pragma: str) -> None:
    """Retries a pragma when two runs make the vault at the same moment: a change of journal mode does not wait for a
    lock."""
    for seconds in (0.05, 0.2, 1.0, 5.0):
        try:
            db.execute(pragma)
            return
        except sqlite3.OperationalError:
            time.sleep(seconds)
    db.execute(pragma)


def kept_head(directory: Path, run: str) -> str | None:
    """The ledger's head at the commitment, from the vault in this directory; None if the vault does not have it."""
    rows = _kept(directory, "SELECT head FROM heads WHERE run=?", run)
    return str(rows[0][0]) if rows and rows[0][0] else None


def kept_replies(directory: Path, run: str) -> list[Reply] | None:
    """The replies of the candidates' model on the run's hidden draws; None if the vault in this directory does not know
    the run."""
    if not _kept(directory, "SELECT run FROM runs WHERE run=?", run):
        return None
    rows = _kept(directory, "SELECT body FROM replies WHERE run=? ORDER BY rowid", run)
    try:
        return None if rows is None else [wire.decode(body, Reply) for (body,) in rows]
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None


def _kept(directory: Path, query: str, run: str) -> list[Any] | None:
    """Rows from the vault in this directory; None if it is missing, damaged, unreadable or older."""
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
