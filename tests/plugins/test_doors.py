"""Every door from outside, by the real command line: what a package registers, and MODULE:CLASS."""

import subprocess
import sys

import pytest

from toprope import plugins
from toprope.climbers import registry as climbers
from toprope.errors import UsageError
from toprope.tasks import registry

pytestmark = pytest.mark.e2e

THING, COIN = "otherlab/thing-v1", "testing/coin-v1"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The complaint of a command that refuses."""
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.strip().splitlines() if not line.startswith("toprope: warning")]
    return line


def test_a_package_is_climbed_and_verified(otherlab, cli, tmp_path):
    """Its task is listed, climbed by its climber through its executor, and verified: hub and scorers find it, too."""
    assert THING in [t["id"] for t in cli.json("tasks")]
    run = tmp_path / "run"
    budget = ("--rehearsal-secret", "x", "--experiments", 96, "--workers", 1, "--unseal", "--report")
    done = cli.json("climb", THING, "--climber", "hill", "--executor", "reversed", *budget, "--run", run)
    assert (done["task"], done["climber"], done["experiments"]) == (THING, "hill", 96)
    assert done["test"] is not None
    assert cli.json("verify", run)["ok"]
    local = cli.json("climb", THING, "--climber", "hill", *budget, "--run", tmp_path / "local")
    assert local["champion"]["candidate"] == done["champion"]["candidate"]


def test_its_command_stands_beside_ours(otherlab, cli):
    """In the help and when it is run."""
    assert "Greet from another package." in cli.run("--help").stdout
    assert cli.run("greet").stdout == "hello from otherlab\n"


def test_listing_imports_nothing_of_a_package(otherlab):
    """Neither its modules nor numpy."""
    code = "import sys; from toprope.tasks import registry; print([t.id for t in registry.available()])"
    code += "; print([m for m in ('otherlab', 'toprope_tasks', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    ids, imported = done.stdout.splitlines()
    assert THING in ids
    assert imported == "[]"


# ---------------------------------------------------------------- MODULE:CLASS


SPY = """
import os
from pathlib import Path
from toprope.climbers.random import Random

Path(os.environ["SPY"]).write_text("imported")


class Climber(Random):
    pass
"""


@pytest.fixture
def spied(site, tmp_path, monkeypatch, cli):
    """A run by a class of one's own that says where it is imported, and the file that it says it in."""
    (site / "spy.py").write_text(SPY)
    mark, run = tmp_path / "imported", tmp_path / "run"
    monkeypatch.setenv("SPY", str(mark))
    budget = ("--rehearsal-secret", "x", "--experiments", 40)
    done = cli.json("climb", COIN, "--climber", "spy:Climber", *budget, "--run", run, "--report")
    assert done["climber"] == "spy:Climber"
    mark.unlink()
    return run, mark


def test_no_run_directory_loads_a_class(spied, cli):
    """A stranger's run may name any module: it is imported where the command line names it again, and nowhere else."""
    run, mark = spied
    for command in (("show", run), ("report", run), ("verify", run)):
        assert cli.run(*command).returncode == 0, command
    assert "--climber spy:Climber" in one_line(cli.run("resume", run))
    assert "not by --climber random" in one_line(cli.run("resume", run, "--climber", "random"))
    assert not mark.exists()
    assert cli.json("resume", run, "--climber", "spy:Climber")["experiments"] == 40
    assert mark.exists()
    mark.unlink()
    assert cli.json("unseal", run)["test"] is not None
    assert not mark.exists()


RANDOM = "from toprope.climbers.random import Random\nclass Climber(Random):\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("raise OSError('no disk')", "OSError: no disk"),
        pytest.param(
            RANDOM + "    def tell(self, results): raise ValueError('bad luck')",
            "tell(results) raised ValueError: bad luck",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_class_that_is_no_climber_ends_in_one_line(site, cli, tmp_path, source, complaint):
    """Before the run begins and in the middle of it: what the class raises is named."""
    (site / "mine.py").write_text(source)
    done = cli.run("climb", COIN, "--climber", "mine:Climber", "--experiments", 10, "--run", tmp_path / "run")
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2
    assert "climber 'mine:Climber'" in line
    assert complaint in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("class Climber: pass", "Climber() takes no arguments"),
        ("class Climber:\n    def __init__(self, space, seed): pass", "has no method ask"),
        ("Climber = 3", "is not a callable object"),
        (RANDOM + "    def ask(self, n): return 3", "gave int"),
        (RANDOM + "    def ask(self, n): return super().ask(n) + self.space.sizes.astype('u1') + 1", "levels up to"),
    ],
)
def test_what_a_class_lacks_or_gives_is_named(site, monkeypatch, source, complaint):
    """The same error, where the command meets it."""
    (site / "mine.py").write_text(source)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(UsageError, match="climber 'mine:Climber'") as e:
        climbers.imported("mine:Climber", registry.load(COIN).space, 0).ask(2)
    assert complaint in str(e.value)


def test_the_working_directory_is_no_place_for_plugins(tmp_path, monkeypatch):
    """A module that lies there, where agents may write, is not imported by the installed command."""
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    argv = [sys.executable, "-P", "-m", "toprope.cli", "climb", COIN, "--climber", "planted:X", "--run", "run"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "No module named 'planted'" in one_line(done)


# ---------------------------------------------------------------- clashes and broken packages


def test_two_packages_with_one_name_are_one_line(otherlab, package, cli):
    """Neither is taken: the line names both. Everything else is listed."""
    package(
        "copycat",
        {"toprope.tasks": {THING: "copycat:make", "w2s/probe-v1": "copycat:make"}, "toprope.climbers": {"hill": "x:Y"}},
    )
    done = cli.run("tasks")
    assert done.returncode == 0
    assert "proxy/reward-model-v1" in done.stdout
    assert "w2s/probe-v1" not in done.stdout
    assert f"task '{THING}' is registered by " in done.stderr
    assert "copycat 0.3" in one_line(cli.run("climb", THING))
    assert "otherlab 1.2" in one_line(cli.run("climb", COIN, "--climber", "hill"))


def test_a_broken_package_breaks_nothing_else(package, cli):
    """What cannot be listed is a warning with the package and why; what cannot be imported is one line when used."""
    groups = {
        "toprope.tasks": {"gone/task-v1": "nowhere.at.all:make", "plain/task-v1": "nocard:make"},
        "toprope.climbers": {"sour": "sour:Climber"},
        "toprope.commands": {"sour": "sour:command", "odd": "nocard:make"},
    }
    package("broken", groups, sour="raise RuntimeError('sour')", nocard="make = 3")
    done = cli.run("tasks")
    assert done.returncode == 0
    assert "w2s/probe-v1" in done.stdout
    warned = [line for line in done.stderr.splitlines() if line.startswith("toprope: warning: ")]
    assert len(warned) == 2
    assert all("of package broken 0.3" in line for line in warned)
    assert "its module is not installed" in warned[0]
    assert "task.toml" in warned[1]
    assert cli.run("--help").returncode == 0
    for command in (("climb", COIN, "--climber", "sour"), ("sour",)):
        assert "of package broken 0.3 cannot be loaded" in one_line(cli.run(*command))
    assert "expected a click.Command" in one_line(cli.run("odd"))
    assert "of package broken 0.3 cannot be loaded" in one_line(cli.run("climb", "gone/task-v1"))


def test_a_task_that_is_none_is_refused(package):
    """An object without the parts of a task, or that is another task than it is registered as."""
    source = "class Bare:\n    def __init__(self, name): pass\nfrom toprope.testing.coin import make as coin\n"
    source += "def other(name): return coin('testing/coin-v1')\ndef bad(name): raise KeyError('x')\n"
    entries = {"some/bare-v1": "some:Bare", "some/other-v1": "some:other", "some/bad-v1": "some:bad"}
    package("some", {"toprope.tasks": entries}, some=source)
    with pytest.raises(UsageError, match=r"'some/bare-v1' of package some 0.3 has no spec, space, secret, prepare, "):
        registry.load("some/bare-v1")
    with pytest.raises(UsageError, match="says that it is 'testing/coin-v1'"):
        registry.load("some/other-v1")
    with pytest.raises(UsageError, match="cannot be made: KeyError: 'x'"):
        registry.load("some/bad-v1")


def test_one_of_ours_cannot_be_replaced(package, cli):
    """A package's command of the same name is never run, and neither is its climber."""
    groups = {"toprope.commands": {"doctor": "rude:x"}, "toprope.climbers": {"random": "rude:x"}}
    package("rude", groups, rude="x = 1 / 0")
    assert "protection" in cli.run("doctor", "--help").stdout
    assert "registered by" in one_line(cli.run("climb", COIN, "--climber", "random"))


@pytest.mark.parametrize("group", [plugins.TASKS, plugins.CLIMBERS, plugins.EXECUTORS, plugins.COMMANDS])
def test_everything_of_ours_can_be_loaded(group):
    """An entry point is a text: no type checker sees that what it names was renamed."""
    ours = [p for p in plugins.registered(group).values() if p.package.startswith("toprope ")]
    assert ours
    assert all(callable(plugin.load()) for plugin in ours)


def test_what_is_a_target():
    """MODULE:CLASS and nothing that could be something else."""
    for text in ("mine:Mine", "a.b_c:D.e"):
        assert plugins.is_target(text)
    for text in ("replay:a/b", "evolution", "mine:", ":Mine", "m-n:X", "a:b:c", "a b:c", "mine:Mine\n"):
        assert not plugins.is_target(text)
