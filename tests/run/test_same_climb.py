"""The same seed, secret and budget give the same climb: on any number of workers, and through any number of kills."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_one_and_two_workers_export_the_same(cli, tmp_path):
    """Pruning, cache hits, crashes, invalid answers and timeouts included."""
    exports = []
    for workers in (1, 2):
        run = tmp_path / f"w{workers}"
        options = ["--seed", 3, "--rehearsal-secret", "x", "--experiments", 160, "--workers", workers]
        cli.json("climb", "testing/rough-coin-v1", "--climber", "random", *options, "--run", run, "--unseal")
        exports.append(cli.export(run))
    assert exports[0] == exports[1]
    outcomes = {e["outcome"] for e in exports[0]["experiments"]}
    assert outcomes == {"ok", "crash", "invalid", "timeout"}
    last = exports[0]["generations"][-1]
    assert last["pruned"] > 0
    assert last["cached"] > 0
    assert exports[0]["attempts"]


def processes() -> tuple[dict[int, int], dict[int, str]]:
    """Parent and command line of every process."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, ValueError):
                continue
    return parents, commands


def victim(process: subprocess.Popen, kind: str, rng: random.Random) -> int | None:
    """A process of this kind among the run's, or None if it has not started or has ended."""
    if kind == "run":
        return process.pid
    parents, commands = processes()
    below: set[int] = set()
    frontier = {process.pid}
    while frontier:
        frontier = {p for p, parent in parents.items() if parent in frontier}
        below |= frontier
    mark = {"hub": "toprope.referee.hub", "scorer": "toprope.referee.scorer", "zygote": " -P -S -B "}[kind]
    found = [p for p in below if mark in commands.get(p, "")]
    if kind == "zygote":  # its children look the same, but are candidates: killing one kills an experiment
        found = [p for p in found if "toprope.referee.scorer" in commands.get(parents[p], "")]
    return rng.choice(sorted(found)) if found else None


def attempts(vault: Path) -> int:
    with contextlib.closing(sqlite3.connect(vault / "sealed.db")) as db:
        made = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'attempts'").fetchone() == (1,)
        return db.execute("SELECT count(*) FROM attempts").fetchone()[0] if made else 0


def climb_through_kills(cli, run: Path, vault: Path, kills: int, options: list[object]) -> int:
    """Climbs with so many kill -9 at random moments, resuming whenever the run process was hit; returns those done."""
    rng = random.Random(kills)
    process = cli.start("climb", "testing/coin-v1", *options, "--run", run)
    done = counted = 0
    while process.poll() is None:
        time.sleep(rng.uniform(0.3, 2.5))
        kind = ["run", "hub", "scorer", "zygote"][done % 4]
        target = victim(process, kind, rng) if done < kills and (run / "ledger.db").exists() else None
        if target is None:
            continue
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            continue
        done += 1
        if kind == "run":
            process.communicate()
            process = cli.start("resume", run)
        if (vault / "sealed.db").exists():
            now = attempts(vault)
            assert now >= counted, "an attempt was refunded"
            counted = now
    err = process.communicate()[1]
    assert process.returncode == 0, err
    return done


def kill_test(cli, tmp_path, monkeypatch, kills: int, experiments: int) -> None:
    options = ["--seed", 5, "--rehearsal-secret", "y", "--experiments", experiments, "--workers", 2]
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "calm-vault"))
    assert cli.run("climb", "testing/coin-v1", *options, "--run", tmp_path / "calm").returncode == 0
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "rough-vault"))
    done = climb_through_kills(cli, tmp_path / "rough", tmp_path / "rough-vault", kills, options)
    assert done == kills
    assert cli.export(tmp_path / "rough") == cli.export(tmp_path / "calm")
    assert attempts(tmp_path / "rough-vault") == attempts(tmp_path / "calm-vault")


@pytest.mark.slow
def test_kill_9_loses_and_counts_nothing(cli, tmp_path, monkeypatch):
    """Run process, hub, scorer and zygote die; the export and the attempts are those of an undisturbed run."""
    kill_test(cli, tmp_path, monkeypatch, kills=4, experiments=800)


@pytest.mark.slow
def test_twenty_kills_lose_and_count_nothing(cli, tmp_path, monkeypatch):
    """The same with twenty kills."""
    kill_test(cli, tmp_path, monkeypatch, kills=20, experiments=4000)
