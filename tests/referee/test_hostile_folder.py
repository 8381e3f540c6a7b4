"""No process of the referee imports anything from the working directory, where an agent may write files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toprope import wire

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
SHADOW = """
import os, sys
me, here = sys.modules.pop(__name__), os.path.dirname(os.path.realpath(__file__))
said = open("/proc/self/cmdline").read().replace("\\0", " ")
with open(os.path.join(here, "ran", f"{os.getpid()}-{__name__}"), "w") as f: f.write(said)
kept = list(sys.path)
sys.path[:] = [p for p in sys.path if os.path.realpath(p or ".") != here]
import importlib
importlib.invalidate_caches()
sys.modules[__name__] = importlib.import_module(__name__)
sys.path[:] = kept
"""
OURS = ("numpy", "msgspec", "toprope", "click", "platformdirs", "sitecustomize", "usercustomize")
EARLY = {"os", "sys", "importlib", "io", "abc", "site", "codecs", "encodings", "stat"}  # SHADOW itself needs these


@pytest.fixture
def hostile(tmp_path) -> Path:
    """A folder with a module of every name that Python, NumPy or toprope may import; each notes who ran it."""
    folder = tmp_path / "notes"
    (folder / "ran").mkdir(parents=True)
    names = {n for n in sys.stdlib_module_names if not n.startswith("_")} - set(sys.builtin_module_names) - EARLY
    for name in (*names, *OURS):
        (folder / f"{name}.py").write_text(SHADOW)
    return folder


def ran(folder: Path) -> list[str]:
    return [path.read_text() for path in (folder / "ran").iterdir()]


def toprope(folder: Path, *words: object, **extra: str) -> None:
    command = [sys.executable, "-P", "-m", "toprope.cli", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | extra, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_of_a_hostile_working_directory_runs(hostile, tmp_path):
    """climb, unseal, verify and the writer of practice draws: hub, scorers and handout run none of it."""
    toprope(hostile, "climb", COIN, "--experiments", "10", "--run", tmp_path / "run", "--unseal", "--report")
    toprope(hostile, "verify", tmp_path / "run")
    code = "import sys; from pathlib import Path; from toprope.referee.public_draws import hand_out\n"
    code += f"hand_out({COIN!r}, 0, 2, Path({str(tmp_path / 'draws')!r}))"
    subprocess.run([sys.executable, "-P", "-c", code], cwd=hostile, check=True)
    assert (tmp_path / "draws" / "draw-1.npz").is_file()
    assert ran(hostile) == []


@pytest.mark.slow
def test_search_paths_that_mean_the_working_directory_do_not_reach_the_referee(hostile, tmp_path):
    """`PYTHONPATH=:` puts the folder first on the path of the user's own process, but of no hub or scorer."""
    empty = dict.fromkeys(("PYTHONPATH", "LD_LIBRARY_PATH"), os.pathsep)
    toprope(hostile, "climb", COIN, "--experiments", "20", "--run", tmp_path / "run", **empty)
    assert ran(hostile), "the shadow modules do not work, so this test shows nothing"
    assert [said for said in ran(hostile) if "toprope.referee" in said] == []


def test_without_the_switch_the_folder_runs_inside_the_referee(hostile, tmp_path):
    """The control: a process of the referee started as `python -m` executes what lies there."""
    argv = ["-m", "toprope.referee.public_draws", COIN, "0", "1", str(tmp_path / "draws")]
    subprocess.run([sys.executable, *argv], cwd=hostile, capture_output=True, check=False)
    assert any("toprope.referee.public_draws" in said for said in ran(hostile))


def test_workers_get_a_fixed_hash_seed_and_no_way_into_the_folder(monkeypatch):
    """What the parent was started with decides neither hashes nor imports of its workers."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONSTARTUP", "/tmp/x.py")
    monkeypatch.setenv("LD_PRELOAD", "./x.so")
    monkeypatch.setenv("PATH", f".{os.pathsep}/usr/bin{os.pathsep}")
    env = wire.child_environment()
    assert env["PYTHONHASHSEED"] == "0"
    assert env["PYTHONSAFEPATH"] == "1"
    assert not {"PYTHONSTARTUP", "LD_PRELOAD"} & set(env)
    assert env["PATH"] == "/usr/bin"


def test_what_a_worker_prints_is_not_on_our_standard_output(tmp_path):
    """The stdout of a process with workers holds its own answer alone."""
    code = "from toprope.wire import spawn; p, c = spawn('this', object, 'a poem'); p.wait()"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "Namespaces are one honking great idea" in done.stderr
