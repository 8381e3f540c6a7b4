"""A run goes on only with the task that it was begun on, and finds it by itself where it is one of the user's own."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from toprope.journal.ledger import read_entries
from toprope.journal.records import record
from toprope.tasks import mark, places, registry
from toprope.tasks.new import new
from toprope.types import Draw

LEADER = "skill[leader] = 0.6"
HIDDEN = "rng.uniform(0.7, 1.0)"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.delenv("TOPROPE_TASKS", raising=False)
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    new(tmp_path / "mine", "own/mine-v1")
    return tmp_path / "mine"


@pytest.fixture
def run(mine, cli, tmp_path):
    """A run on a task in a folder, begun and not unsealed."""
    done = cli.run("climb", mine, "--experiments", 20, "--workers", 1, "--run", tmp_path / "run", "--report")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def edit(folder, old, new_words, name="task.py"):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new_words))


def spent(tmp_path) -> tuple:
    """What the vault has counted: sittings, attempts, openings."""
    with closing(sqlite3.connect(tmp_path / "vault" / "sealed.db")) as db:
        counts = [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("attempts", "openings")]
        return *counts, db.execute("SELECT sum(seen) FROM sittings").fetchone()[0]


DRAWS = {"dev draws": ("0.52, 0.85", "0.72, 0.95")}
MORE = {
    "measure draws, test draws, val draws": (HIDDEN, "rng.uniform(0.1, 0.2)"),
    "candidates score differently": ("np.asarray(np.mean(", "np.asarray(0.9 * np.mean("),
    "baselines": ('"majority": Point({}', '"majority": Point({"weights": "em"}'),
    "": (LEADER, "skill[leader] = 0.95"),  # does not enter the draws: a change that changes nothing
}


@pytest.mark.parametrize("changes", [DRAWS, pytest.param(DRAWS | MORE, marks=pytest.mark.slow)], ids=["draws", "all"])
def test_a_changed_task_is_refused_before_anything_is_spent(mine, run, cli, tmp_path, changes):
    """Resume, unseal and verify say in one line what differs; no sitting, attempt or opening is counted, and the run
    goes on when the change is taken back."""
    before = spent(tmp_path)
    for named, (old, changed) in changes.items():
        edit(mine, old, changed)
        for command in ("resume", "unseal") if named else ():
            done = cli.run(command, run, "--workers", 1)
            assert (done.returncode, done.stdout) == (2, ""), done
            (line,) = [x for x in done.stderr.splitlines() if x.startswith("toprope:")]
            assert named in line
            assert "begin a new run" in line
            assert spent(tmp_path) == before
        if named == "dev draws":  # nothing is said against the run then, and it does not pass either
            done = cli.run("verify", run, "--workers", 1)
            assert (done.returncode, "DIFFERS  task" in done.stdout) == (1, True)
            assert done.stdout.rstrip().endswith("differs from the one that it was made on")
        edit(mine, changed, old)
    if changes is not DRAWS:
        assert cli.json("unseal", run, "--workers", 1)["test"]["openings"] == 1


@pytest.mark.slow
def test_other_code_that_does_the_same_is_recorded_and_goes_on(mine, run, cli):
    """What decides is what the task does: a comment orphans no run, and the sitting records the code."""
    edit(mine, "make = Raters", "# a comment\nmake = Raters")
    done = cli.run("unseal", run, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "code has changed since the run began, what it does has not" in done.stderr
    first, last = [record(e) for e in read_entries(run) if e.kind == "sitting"]
    assert first.code != last.code
    assert cli.json("verify", run, "--workers", 1)["ok"]


@pytest.mark.slow
def test_a_run_finds_its_task(mine, run, cli, tmp_path):
    """The vault's folder remembers where the user's own task lies; a run directory names nothing that is loaded."""
    command = (run / "report.html").read_text().partition("<h2>To repeat it</h2>\n<pre>")[2].partition("</pre>")[0]
    assert command.startswith("toprope climb own/mine-v1 --climber evolution")
    assert registry.find("own/mine-v1") == "own/mine-v1", "the printed command names it by its id"
    del os.environ["TOPROPE_TASKS"]
    for words in (["resume", run], ["report", run], ["verify", run]):
        done = cli.run(*words, "--workers", 1) if words[0] != "report" else cli.run(*words)
        assert done.returncode == 0, done.stderr
    mine.rename(tmp_path / "moved")
    for command in ("resume", "unseal", "report", "verify"):
        done = cli.run(command, run)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert f"it was in {mine}" in done.stderr
        assert "--task DIR" in done.stderr
    shutil.copytree(tmp_path / "moved", tmp_path / "other")
    edit(tmp_path / "other", "own/mine-v1", "own/other-v1", "task.toml")
    assert "does not hold own/mine-v1" in cli.run("report", run, "--task", tmp_path / "other").stderr
    assert cli.run("resume", run, "--task", tmp_path / "moved").returncode == 0
    assert cli.run("report", run).returncode == 0, "the new place is remembered"
    places_file = tmp_path / "vault" / places.FILE
    assert places_file.stat().st_mode & 0o077 == 0
    places_file.unlink()
    assert cli.run("report", run).returncode == 2, "and by nothing else than the vault"


def test_folders_of_tasks_are_named_together(mine, cli, tmp_path, monkeypatch):
    """TOPROPE_TASKS may name a parent of task folders, and a bad entry is a warning that breaks nothing."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "task.toml").write_text("id = 3")
    monkeypatch.setenv("TOPROPE_TASKS", f"{tmp_path}:{tmp_path / 'nowhere'}")
    done = cli.run("tasks")
    assert done.returncode == 0
    assert "own/mine-v1" in done.stdout
    assert all(line.startswith("toprope: warning: TOPROPE_TASKS: ") for line in done.stderr.splitlines())
    assert str(tmp_path / "bad") in done.stderr
    assert str(tmp_path / "nowhere") in done.stderr


# ---------------------------------------------------------------- the digest


@dataclass
class Gold:
    truth: np.ndarray
    more: dict = field(default_factory=dict)


class Made:
    """A task with one draw, made by a function."""

    def __init__(self, make):
        self.make, self.spec = make, registry.load("testing/coin-v1").spec

    def generate(self, split, index, seed):
        return self.make(np.random.default_rng(seed))


def digest(make) -> str:
    return mark.of_draws(Made(make), {"dev": b"s"})["dev draws"]


def test_a_digest_sees_every_part_and_forgives_rounding():
    """Public arrays, gold in records of any kind, anchors and groups count; the last bits of another machine do not."""

    def make(rng, scale=1.0, gold=1, floor=0.0, group=0, extra="x"):
        x = rng.standard_normal(100) * scale
        return Draw({"x": x}, Gold(np.array([gold]), {"k": {extra, "a"}}), floor, 1.0, group)

    whole = digest(make)
    assert digest(lambda r: make(r, scale=1 + 1e-13)) == whole
    for changes in ({"scale": 1.01}, {"gold": 2}, {"floor": 0.1}, {"group": 1}, {"extra": "y"}):
        assert digest(lambda r, changes=changes: make(r, **changes)) != whole


def test_a_digest_of_a_record_that_leads_back_to_itself():
    """Gold may be any object; one that holds itself has an end."""

    def make(rng):
        gold = Gold(np.array([1]))
        gold.more["self"] = gold
        return Draw({"x": np.zeros(1)}, gold)

    assert digest(make) == digest(make)


def test_what_a_user_reads_about_a_task_is_no_part_of_it():
    """A title or a citation may be mended while runs are under way; a limit may not."""
    task = registry.load("testing/coin-v1")
    then = mark.of_task(task)
    task.spec = msgspec.structs.replace(task.spec, title="other", citation="other")
    assert mark.differences(then, mark.of_task(task)) == []
    task.spec = msgspec.structs.replace(task.spec, limits=msgspec.structs.replace(task.spec.limits, wall_s=9.0))
    assert mark.differences(then, mark.of_task(task)) == ["splits, limits and metric"]
