"""Copies of a run directory gain nothing: the vault knows which directory sat last, however often anyone was killed."""

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from toprope.errors import RunError
from toprope.journal.ledger import read_entries
from toprope.journal.records import record
from toprope.referee.vault import Vault

COIN = "testing/coin-v1"
COUNTED = ("attempts", "champions", "openings", "runs")


def counted(vault: Path) -> dict[str, list]:
    """Everything the vault has counted: alpha, slices and openings are functions of it."""
    with contextlib.closing(sqlite3.connect(vault / "sealed.db")) as db:
        return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in COUNTED}


def last_sitting(run: Path) -> int:
    return max(record(e).number for e in read_entries(run) if e.kind == "sitting")


def half_a_climb(cli, run: Path, blocks: int = 30) -> None:
    """A climb that was killed in the middle, after an answer of the gate was recorded."""
    options = ["--experiments", 200, "--seed", 5, "--workers", 1]
    process = cli.start("climb", COIN, *options, "--run", run)
    while process.poll() is None:
        with contextlib.suppress(RunError):
            kinds = [e.kind for e in read_entries(run)]
            if kinds.count("block") >= blocks and "answer" in kinds:
                break
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("copies", [2, 20])
def test_copies_gain_nothing(cli, tmp_path, copies):
    """Climbing on and unsealing from any of many copies ends in one line; nothing is counted, nobody hears a thing."""
    run, vault = tmp_path / "run", tmp_path / "vault"
    half_a_climb(cli, run)
    twins = [Path(shutil.copytree(run, tmp_path / f"copy {i}")) for i in range(copies)]
    assert cli.json("resume", run, "--workers", 1)["experiments"] == 200
    assert [record(e).number for e in read_entries(run) if e.kind == "sitting"] == [1, 2]
    before, heard = counted(vault), cli.export(run)["answers"]
    for i, copy in enumerate(twins):
        done = cli.run("unseal" if i % 2 else "resume", copy, "--workers", 1, "--json")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert "this is a copy of run" in line
        assert f"its last session was {last_sitting(copy)}, the vault has seen {last_sitting(run)}" in line
        assert "resume the original" in line
        assert len(cli.export(copy)["answers"]) <= len(heard)
    assert counted(vault) == before
    assert cli.json("unseal", run, "--workers", 1)["test"]["openings"] == 1


@pytest.mark.slow
def test_copies_side_by_side(cli, tmp_path):
    """While the original climbs, a copy taken of it at that moment is refused; the original does not notice."""
    run = tmp_path / "run"
    process = cli.start("climb", COIN, "--experiments", 2000, "--workers", 1, "--run", run)
    while not (run.exists() and "generation" in _kinds(run)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGSTOP)  # a copy of one moment
    shutil.copytree(run, tmp_path / "copy")
    os.kill(process.pid, signal.SIGCONT)
    try:
        done = cli.run("resume", tmp_path / "copy", "--workers", 1)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert done.returncode == 2
    assert "is in use elsewhere" in done.stderr.splitlines()[-1]


def _kinds(run: Path) -> list[str]:
    with contextlib.suppress(RunError):
        return [e.kind for e in read_entries(run)]
    return []


def sit(vault: Path, presented: int, **options: bool) -> tuple[Vault, int]:
    held = Vault(vault, **options)
    return held, held.begin_session("r", "t", None, presented)[1]


def test_no_kill_locks_the_original_out(tmp_path):
    """Killed after issuing, recording or acknowledging, in every order over three sittings: the original sits."""
    for number, history in enumerate(itertools.product(("issued", "recorded", "acknowledged"), repeat=3)):
        directory, ledger = tmp_path / str(number), 0
        for end in history:
            vault, new = sit(directory, ledger)
            if end != "issued":
                ledger = new
            if end == "acknowledged":
                vault.acknowledge("r", new)
            vault.leave()
        vault, new = sit(directory, ledger)
        assert new > ledger


def test_only_one_of_those_that_present_a_number_goes_on(tmp_path):
    """Two directories with the same last number: as soon as one has gone on, the other is a copy for ever."""
    vault, first = sit(tmp_path, 0)
    vault.acknowledge("r", first)
    vault.leave()
    vault, second = sit(tmp_path, first)
    vault.acknowledge("r", second)
    vault.leave()
    for _ in range(3):
        with pytest.raises(RunError, match="this is a copy of run r: its last session was 1, the vault has seen 2"):
            sit(tmp_path, first)


def test_a_vault_that_does_not_know_the_run(tmp_path):
    """A run that goes on in another vault, or in an old copy of its own, would have fresh secrets: refused."""
    with pytest.raises(RunError, match="has never seen it; set TOPROPE_VAULT"):
        sit(tmp_path, 3)
    vault, _ = sit(tmp_path, 0)
    vault.leave()
    with pytest.raises(RunError, match="has seen only 1"):
        sit(tmp_path, 3)


def test_without_the_numbers_a_copy_would_climb(tmp_path):
    """What the layer is for: with it off, an outdated copy sits beside the original and attempts on its slices."""
    original, first = sit(tmp_path, 0, notices_copies=False)
    original.acknowledge("r", first)
    original, second = sit(tmp_path, first, notices_copies=False)
    original.acknowledge("r", second)
    copy, _ = sit(tmp_path, first, notices_copies=False)
    original.begin_attempt("r", 1, "x")
    assert copy.begin_attempt("r", 1, "another candidate") == (2, None)
