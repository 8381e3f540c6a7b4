"""A vault that is not as we left it: what is read has its types, or the vault is refused in one line."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from fuzzing import both_forms, fuzz, outcome, scalars, spoiled
from hypothesis import strategies as st
from msgspec import to_builtins

from toprope.referee.gate import GateVerdict
from toprope.referee.recorded import Answer, RevealedVerdict
from toprope.referee.vault import SealedRun, Vault
from toprope.referee.vault_file import kept_head
from toprope.seeding import commitment
from toprope.stats.intervals import Estimate
from toprope.types import Candidate, Incident, Tree

CHAMPION = Candidate(Tree({"solution.py": b"x = 1"}), {"a": 1})


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A vault with runs, answers, a champion, an opening and incidents."""
    folder = tmp_path_factory.mktemp("vault")
    vault = Vault(folder)
    run, session_number = vault.begin_session("r", "t", None, 0)
    vault.acknowledge("r", session_number)
    vault.open_run("dry", "t", "secret")
    vault.begin_attempt("r", 1, "x")
    vault.refuse("r", 1, 1, GateVerdict(False, 0.5, 3.0, 64), 2)
    vault.begin_attempt("r", 1, CHAMPION.id)
    vault.promote("r", 1, 2, CHAMPION, Estimate(0.5, 0.4, 0.6, 0.05), GateVerdict(True, 3.5, 3.0, 64), 0)
    vault.begin_attempt("r", 2, "y")
    vault.saw("r", "x", [Incident("kind", "certain", "evidence")])
    vault.open_run("lit", "t", None, "round 7")
    vault.commit("lit", "x", "head")
    vault.open_test(run, CHAMPION.id, "head")
    vault.leave()
    vault._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    vault._db.close()
    return folder / "sealed.db"


def used(folder: Path) -> None:
    """Everything the hub asks of a vault, each answer of the right type."""
    vault, error = outcome(Vault, folder)
    if error is not None:
        return
    assert isinstance(kept_head(folder, "r"), str | None)
    with contextlib.closing(vault._db):
        since, _ = outcome(lambda: vault.since)
        assert since is None or isinstance(since, str)
        for name in ("r", "dry", "lit", "new"):
            run, _ = outcome(vault.open_run, name, "t", "secret" if name == "dry" else None)
            if run is None:
                continue
            assert isinstance(run, SealedRun)
            assert [type(v) for v in run[:6]] == [str, str, int, bytes, bool, bool]
            assert isinstance(run.beacon_round, str | None)
            assert run.number >= 1
            assert commitment(run.secret)
            for ask, kind in (
                (lambda run=run: vault.champions(run.run), list),
                (lambda run=run: vault.past_answer(run.run, CHAMPION.id), Answer | None),
                (lambda run=run: vault.attempts(run.run), int),
                (lambda run=run: vault.seen(run.run), dict),
                (lambda run=run: vault.begin_attempt(run.run, 1, "x"), tuple),
                (lambda run=run: vault.begin_attempt(run.run, 2, "z"), tuple),
                (lambda run=run: vault.disclosed_timing_bits(run.run, 1, 9), float | int),
                (lambda run=run: vault.begin_session(run.run, "t", None, 1), tuple),
                (vault.leave, type(None)),
                (lambda run=run: vault.judged(run.run), list),
                (lambda run=run: vault.refuse(run.run, 2, 2, GateVerdict(False, 0.5, 3.0, 64), 1), type(None)),
                (lambda run=run: vault.saw(run.run, "x", [Incident("k", "s", "e")]), type(None)),
                (lambda run=run: vault.open_test(run, "x"), int),
            ):
                value, error = outcome(ask)
                assert error is not None or isinstance(value, kind), value
                if isinstance(value, tuple) and not isinstance(value[0], SealedRun):
                    assert isinstance(value[0], int)
                    assert value[0] >= 1
                    assert isinstance(value[1], int | None)
                for judged in value if isinstance(value, list) else []:
                    assert (
                        not isinstance(judged, RevealedVerdict)
                        or msgspec.convert(to_builtins(judged), RevealedVerdict) == judged
                    )


def cleared(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder / "sealed.db"


@both_forms
def test_bytes_of_the_file(form, good, tmp_path):
    """Flipped, cut or inserted bytes."""
    whole = good.read_bytes()

    def check(data):
        cleared(tmp_path / "vault").write_bytes(data)
        used(tmp_path / "vault")

    page = st.integers(0, len(whole) // 4096 - 1).map(lambda n: n * 4096)
    edges = st.builds(int.__add__, page, st.integers(0, 16) | st.integers(3800, 4095))
    bits = st.tuples(edges | st.integers(0, len(whole) - 1), st.integers(1, 255))
    flips = st.lists(bits, min_size=1, max_size=6)

    def flip(some):
        data = bytearray(whole)
        for at, mask in some:
            data[at] ^= mask
        return bytes(data)

    fuzz("vault: bytes", form, flips.map(flip) | spoiled(whole) | st.binary(max_size=200), check)


TABLES = {
    "beacons": ["run", "round", "candidate", "value"],
    "heads": ["run", "head"],
    "verdicts": ["run", "slice", "attempt", "tick", "log_e", "level", "draws", "error"],
    "sittings": ["run", "seen", "acknowledged"],
    "runs": ["run", "task", "number", "secret", "rehearsal", "created", "unsealed"],
    "attempts": ["run", "slice", "attempt", "candidate", "promoted"],
    "champions": ["run", "slice", "candidate", "measured"],
    "openings": ["task", "opening", "run", "candidate", "at"],
    "incidents": ["run", "candidate", "kind", "severity", "evidence"],
}
COLUMN = st.sampled_from([(t, c) for t, columns in TABLES.items() for c in columns])


@both_forms
def test_rows_and_tables(form, good, tmp_path):
    """Values, rows, columns and tables changed, dropped, or of other types."""

    def check(edits):
        path = cleared(tmp_path / "vault")
        shutil.copy(good, path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            for edit, values in edits:
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    db.execute(edit, values)
            db.commit()
        used(tmp_path / "vault")

    value = scalars.map(lambda v: int(v) if isinstance(v, bool) else v)
    table = st.sampled_from(list(TABLES))
    edit = st.one_of(
        st.builds(lambda c, v: (f"UPDATE {c[0]} SET {c[1]} = ?", (v,)), COLUMN, value),
        st.builds(lambda c: (f"ALTER TABLE {c[0]} DROP COLUMN {c[1]}", ()), COLUMN),
        st.builds(lambda c: (f"ALTER TABLE {c[0]} RENAME COLUMN {c[1]} TO other", ()), COLUMN),
        st.builds(lambda t: (f"DROP TABLE {t}", ()), table),
        st.builds(lambda t: (f"DELETE FROM {t}", ()), table),
        st.builds(lambda t: (f"ALTER TABLE {t} ADD COLUMN more TEXT", ()), table),
        st.builds(lambda t: (f"ALTER TABLE {t} RENAME TO other", ()), table),
        st.builds(lambda c: (f"UPDATE {c[0]} SET {c[1]} = CAST(x'ff' AS TEXT)", ()), COLUMN),
        st.builds(lambda t: (f"CREATE TRIGGER tr AFTER INSERT ON {t} BEGIN DELETE FROM attempts; END", ()), table),
    )
    fuzz("vault: tables", form, st.lists(edit, min_size=1, max_size=3), check)
