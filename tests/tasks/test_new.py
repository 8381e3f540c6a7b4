"""`toprope new` and tasks of one's own: written, admitted, climbed, named by their folder, and refused when broken."""

import subprocess
import sys

import pytest

from toprope.errors import UsageError
from toprope.tasks import registry
from toprope.tasks.new import new


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.delenv("TOPROPE_TASKS", raising=False)
    folder = tmp_path / "My Task"
    new(folder, None)
    return folder


@pytest.mark.slow
def test_a_new_task_is_admitted(mine, cli):
    """What `new` writes passes every line of `check` as it is, in at most 80 lines of the author's Python."""
    result = cli.json("check", mine)
    assert result["admitted"], [c for c in result["checks"] if not c["ok"]]
    assert result["task"] == "own/my-task-v1"
    assert len((mine / "task.py").read_text().splitlines()) <= 80


@pytest.mark.slow
def test_a_task_of_ones_own_is_climbed_submitted_and_verified(mine, cli, tmp_path, monkeypatch):
    """Named by its folder at first; its runs find it, and where the vault does not know it, TOPROPE_TASKS says it."""
    run = tmp_path / "run"
    done = cli.json("climb", mine, "--experiments", 160, "--run", run, "--unseal")
    assert (done["task"], done["experiments"]) == ("own/my-task-v1", 160)
    assert done["test"]["lo"] > done["baselines"]["majority"]
    assert cli.json("submit", mine, mine / "starter")["outcome"] == "ok"
    assert cli.json("verify", run)["champion_reproduced"]
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "another"))
    refused = cli.run("verify", run)
    assert refused.returncode == 2
    assert "--task DIR" in refused.stderr
    monkeypatch.setenv("TOPROPE_TASKS", str(mine))
    assert cli.json("verify", run)["champion_reproduced"]
    assert "own/my-task-v1" in [t["id"] for t in cli.json("tasks")]


def test_cheating_does_not_pay_on_a_new_task(mine, cli):
    """The corpus runs on a task of one's own as on a shipped one."""
    result = cli.json("redteam", mine, "--only", "file-outside,not-a-number,decoy-gold,constant,inverted")
    assert result["ok"], [c for c in result["cheats"] if not c["ok"]]


@pytest.mark.slow
def test_a_climb_ends_when_every_point_is_known(mine, cli, tmp_path):
    """A space smaller than the budget is not climbed over and over."""
    text = (mine / "task.py").read_text()
    start, end = text.index("    space = Space(["), text.index("    # baselines that are")
    (mine / "task.py").write_text(text[:start] + '    space = Space([linear("copies", 0, 1, 40, 0)])\n' + text[end:])
    (mine / "task.py").write_text(
        (mine / "task.py").read_text().replace('"agreement": Point({"weights": "agreement"}', '"agreement": Point({}')
    )
    done = cli.json("climb", mine, "--minutes", 5, "--run", tmp_path / "run")
    assert 40 <= done["experiments"] < 1000


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: (d / "task.py").write_text("import nosuchmodule"), "nosuchmodule"),
        (lambda d: (d / "task.py").write_text("x = 1"), "make"),
        (lambda d: (d / "task.py").unlink(), "task.py"),
        (lambda d: (d / "task.toml").write_text("id = 3"), "id"),
    ],
)
def test_a_broken_task_ends_in_one_line(mine, cli, tmp_path, change, complaint):
    """A task that cannot be loaded is named with what is wrong, before a run directory is made."""
    change(mine)
    done = cli.run("climb", mine, "--experiments", 10, "--run", tmp_path / "run")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert complaint in done.stderr
    assert not (tmp_path / "run").exists()


def test_of_two_tasks_with_one_id_the_one_that_is_named_counts(mine, tmp_path, monkeypatch):
    """A folder that is named is the task that is loaded, also where another with its id was named before."""
    monkeypatch.setenv("TOPROPE_TASKS", str(mine))
    new(tmp_path / "second", "own/my-task-v1")
    named = registry.find(str(tmp_path / "second"))
    assert registry.own()[named] == tmp_path / "second"


def test_nothing_is_overwritten_and_ids_are_ids(mine, tmp_path):
    """A folder that holds something is left alone; an id has the form family/name-vN and is not a shipped task's."""
    with pytest.raises(UsageError, match="is not an empty directory"):
        new(mine, None)
    with pytest.raises(UsageError, match="family/name-vN"):
        new(tmp_path / "other", "nonsense")
    new(tmp_path / "taken", "proxy/reward-model-v1")
    with pytest.raises(UsageError, match="shipped"):
        registry.find(str(tmp_path / "taken"))


@pytest.mark.e2e
def test_listing_tasks_does_not_load_numpy():
    """Reading what there is stays cheap."""
    code = "import sys; from toprope.tasks import registry; registry.available(); assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
