"""Manners of the command line: what is refused by name, what is listed, what is written, and what a wait looks like."""

import errno
import os
import subprocess
import sys

import pytest

from toprope.cli.group import _refused
from toprope.errors import RunError, UsageError
from toprope.journal.reading import read
from toprope.run import upkeep
from toprope.run.driver import Audience
from toprope.run.submit import submit
from toprope.sandbox.selftest import Choice
from toprope.types import Candidate, Tree
from toprope.view.terminal import PlainScreen

COIN = "testing/coin-v1"
GOOD = "def answer(nonce, *, params):\n    return [1.0, {}, nonce[0]]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a finished run, and the vault that knows it."""
    base = tmp_path_factory.mktemp("runs")
    options = ["--experiments", "150", "--workers", "1", "--seed", "4", "--run", str(base / "run"), "--report"]
    command = [sys.executable, "-m", "toprope.cli", "climb", COIN, *options]
    environment = {**os.environ, "TOPROPE_VAULT": str(base / "vault")}
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return base


@pytest.fixture
def vault(folder, monkeypatch):
    monkeypatch.setenv("TOPROPE_VAULT", str(folder / "vault"))


def test_a_champion_can_be_submitted(folder, vault, cli, tmp_path):
    """`show --champion` writes starter and parameters joined, and `submit` gives the value that the run recorded."""
    shown = cli.json("show", folder / "run", "--champion", tmp_path / "best")
    assert shown["promotions"] >= 1
    assert (
        sorted(p.name for p in (tmp_path / "best").iterdir())
        == sorted(shown["files"])
        == ["params.json", "solution.py"]
    )
    scored = cli.json("submit", COIN, tmp_path / "best", "--seed", 4)
    assert scored["candidate"] == shown["champion"]["candidate"]
    assert scored["dev"]["value"] == pytest.approx(shown["champion"]["dev"], abs=1e-4)
    done = cli.run("show", folder / "run", "--champion", tmp_path / "best")
    assert (done.returncode, "not empty" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "params.json", "a/./b", "", "a\nb", "x/params.json/y"]
)
def test_names_of_a_strangers_champion_lead_nowhere(tmp_path, name):
    """A ledger names the files; a name that leads out of the folder is refused and nothing is written."""
    with pytest.raises(RunError, match="expected a plain relative path"):
        upkeep.write_candidate(Candidate(Tree({"solution.py": b"", name: b"x"}), {}), tmp_path / "deep" / "best")
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_newest_first(folder, vault, cli, tmp_path):
    """`ls` tells task, state and champion of every run in a folder, and says which cannot be read."""
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "ledger.db").write_bytes(b"nothing")
    first, last = cli.json("ls", folder)
    assert (first["task"], first["state"], first["climber"], first["experiments"]) == (
        COIN,
        "stopped",
        "evolution",
        150,
    )
    assert first["champion"] == cli.json("show", folder / "run")["champion"]["candidate"]
    assert (last["state"], bool(last["why"])) == ("unreadable", True)
    assert "no runs here" in cli.run("ls", tmp_path / "nowhere").stdout


def test_clean_removes_caches_and_nothing_else(folder, vault, cli, tmp_path, monkeypatch):
    """Sizes of caches, vault and runs; --caches removes the caches, never the vault or a run."""
    cache = tmp_path / "cache"
    (cache / "w2s").mkdir(parents=True)
    (cache / "w2s" / "states").write_bytes(b"x" * 3_000_000)
    (cache / "other").write_bytes(b"somebody's")
    monkeypatch.setenv("TOPROPE_CACHE", str(cache))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    listed = {row["what"]: row for row in cli.json("clean", folder)["listed"]}
    assert (listed["cache"]["path"], listed["cache"]["bytes"]) == (str(cache / "w2s"), 3_000_000)
    assert listed["vault"]["bytes"] > 0
    assert listed["run"]["bytes"] > 0
    assert "3.0 MB of caches removed" in cli.run("clean", folder, "--caches").stdout
    assert [p.name for p in cache.iterdir()] == ["other"]
    assert (folder / "vault" / "sealed.db").exists()
    assert (folder / "run" / "ledger.db").exists()
    assert cli.json("doctor")["paths"]["vault"] == str(folder / "vault")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("params", "code", "refused"),
    [
        ('{"skil": 0.05}', "0.0", "'skil' (did you mean 'skill'?)"),
        ('{"nonsense": 3}', "0.0", "'nonsense'"),
        ('{"skill": 0.05}', "0.0", None),
        ('{"mine": 0.05}', "params['mine']", None),
        ('{"mine": 0.05}', "sum(v for v in params.values())", None),
        ('{"mine": 0.05}', "dict(**params)['m' + 'ine']", None),
    ],
)
def test_an_unknown_parameter_is_named(tmp_path, params, code, refused):
    """A name that neither the task's space nor the candidate's code mentions is a slip; a candidate's own is fine."""
    (tmp_path / "solution.py").write_text(GOOD.format(code))
    (tmp_path / "params.json").write_text(params)

    def score():
        return submit(COIN, tmp_path, None, 0, lambda: Choice("linux-landlock"), lambda *_: None)

    if refused is None:
        assert score().outcome == "ok"
    else:
        with pytest.raises(UsageError) as e:
            score()
        assert refused in str(e.value)


def test_the_starting_help_cuts_no_line(cli):
    """Every command is told in a line that fits."""
    assert not [line for line in cli.run("--help").stdout.splitlines()[1:] if line.endswith("...")]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left"),
        (OSError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied; make it readable"),
        (OSError(errno.EMFILE, "Too many open files"), "the system refused an operation: Too many open files"),
    ],
)
def test_what_the_system_refuses_is_said_with_its_remedy(error, words):
    """A full disk is not reported as a matter of permissions."""
    assert words in _refused(error)


def test_a_wait_for_the_gate_is_shown_as_one(capsys):
    """The climb has nothing to do while an answer is due; a line says how long, and that is not called climbing."""
    view = PlainScreen()
    audience = Audience([view])
    audience.wait(135.0)
    audience.wait(None)
    assert "waiting 135 s for the gate" in capsys.readouterr().err
    assert audience.waited > 0
    assert view.state.waits is None


def test_a_finished_run_that_is_resumed_climbs_no_time(folder, vault, cli):
    """Phases of a sitting are told in seconds that have passed: never less than nothing."""
    done = cli.run("resume", folder / "run", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "-0 s" not in done.stdout


def test_a_generation_is_as_large_as_it_was_asked_to_be(cli, tmp_path):
    """40 proposals before the climber hears of any, where the task says 32."""
    run = tmp_path / "run"
    cli.json("climb", COIN, "--experiments", 60, "--generation", 40, "--workers", 1, "--run", run)
    assert [g.experiments for g in read(run).generations] == [1, 41, 60]
