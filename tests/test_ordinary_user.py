"""Everything works for a user who is nobody: where tests run as root, a climb is run as one."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import pytest

import toprope
from toprope.sandbox.walls import open_to_all

NOBODY = 65534
PACKAGES = ("numpy", "numpy.libs", "msgspec", "click", "jinja2", "markupsafe", "rich", "pygments", "markdown_it")
PACKAGES += ("mdurl", "platformdirs")
COIN = "testing/coin-v1"


@pytest.fixture(scope="module")
def home():
    """A directory of the ordinary user's own, with all that is needed to run toprope readable by anyone."""
    base = Path(tempfile.mkdtemp(prefix="toprope-user-"))
    base.chmod(0o755)
    (base / "home").mkdir()
    if os.geteuid() == 0:
        os.chown(base / "home", NOBODY, NOBODY)
    yield base
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def python(home) -> Path:
    """An interpreter that anyone may run: ours, or a copy if ours lies where only its owner may look."""
    real = Path(sys.executable).resolve()
    if open_to_all(real):
        return real
    library = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    leave_out = shutil.ignore_patterns("test", "tests", "site-packages", "*.a", "idlelib", "config-*")
    shutil.copytree(Path(sys.base_prefix) / library, home / "python" / library, ignore=leave_out)
    for shared in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
        shutil.copy(shared, home / "python" / "lib")
    (home / "python" / "bin").mkdir()
    return Path(shutil.copy(real, home / "python" / "bin" / real.name))


@pytest.fixture(scope="module")
def packages(home) -> Path:
    """toprope and what it needs, readable by anyone, and nothing else."""
    site = home / "site"
    shutil.copytree(Path(toprope.__file__).parent, site / "toprope")
    installed = Path(numpy.__file__).parents[1]
    for name in PACKAGES:
        if (installed / name).is_dir():
            shutil.copytree(installed / name, site / name, ignore=shutil.ignore_patterns("tests"))
    return site


@pytest.fixture
def as_user(home, python, packages):
    """Runs toprope as the ordinary user."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        root = os.geteuid() == 0
        return subprocess.run(
            [str(python), "-s", "-m", "toprope.cli", *map(str, args)],
            env={"PYTHONPATH": str(packages), "HOME": str(home / "home"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd=home / "home",
            capture_output=True,
            text=True,
            **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}),
        )

    return run


def test_a_climb_end_to_end(as_user, home):
    """Climb, sealed test, report and a second run, all as nobody; the protection record says whose uid it was."""
    done = as_user("climb", COIN, "--experiments", 40, "--workers", 1, "--run", "run", "--unseal", "--report", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["protection"]["identity"] == "uid kept, ordinary user"
    assert result["protection"]["uid"] == (NOBODY if os.geteuid() == 0 else os.geteuid())
    assert (result["protection"]["protected"], result["certifying"]) == (True, True)
    assert result["test"]["openings"] == 1
    vault = home / "home" / ".local" / "share" / "toprope" / "vault" / "sealed.db"
    assert stat.S_IMODE(vault.stat().st_mode) == 0o600
    assert vault.stat().st_uid == result["protection"]["uid"]
    assert "ordinary user" in (home / "home" / "run" / "report.html").read_text()
    _read_only(as_user, home)


def _read_only(as_user, home) -> None:
    """A run that is not ours can be read and not written, and that is said in one line."""
    theirs = home / "theirs"
    shutil.copytree(home / "home" / "run", theirs)
    for path in (theirs, *theirs.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
        path.chmod(0o555 if path.is_dir() else 0o444)
    told = as_user("export", theirs)
    assert told.returncode == 0, told.stderr
    assert told.stdout == as_user("export", "run").stdout
    for arguments in (["report", theirs], ["resume", theirs], ["climb", COIN, "--run", theirs]):
        refused = as_user(*arguments)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"toprope: cannot write {theirs}")
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    if os.geteuid() == 0:  # a directory of our own we could always look into
        for arguments in (["resume", hidden / "run"], ["climb", COIN, "--run", hidden / "run"]):
            refused = as_user(*arguments)
            assert refused.returncode == 2
            (line,) = refused.stderr.splitlines()
            assert str(hidden) in line
    theirs.chmod(0o755)


@pytest.mark.slow
def test_cheating_does_not_pay_for_an_ordinary_user_either(as_user):
    """The red team's thieves and vandals, as nobody: none pays, every twin passes."""
    done = as_user("redteam", COIN, "--only", "C1,C2,fork,limits-parent,kill-parent,early-exit", "--json")
    result = json.loads(done.stdout) if done.stdout else done.stderr
    assert done.returncode == 0, [c for c in result["cheats"] if not c["ok"]] if done.stdout else result
    assert result["protection"]["identity"] == "uid kept, ordinary user"
