"""An ordinary user: nobody where tests run as root, else the user who runs them, with all it needs to read."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy
import pytest
from cells import NOBODY

import toprope
import toprope_tasks
from toprope.sandbox.walls import open_to_all

PACKAGES = [
    "numpy", "numpy.libs", "msgspec", "click", "jinja2", "markupsafe", "rich", "pygments", "markdown_it", "mdurl",
    "platformdirs",
]  # fmt: skip


@pytest.fixture(scope="session")
def home():
    """A directory of the ordinary user's own, with all that is needed to run toprope readable by anyone."""
    base = Path(tempfile.mkdtemp(prefix="toprope-user-"))
    base.chmod(0o755)
    (base / "home").mkdir()
    if os.geteuid() == 0:
        os.chown(base / "home", NOBODY, NOBODY)
    yield base
    shutil.rmtree(base)


@pytest.fixture(scope="session")
def python(home) -> Path:
    """An interpreter that anyone may run: ours, or a copy if ours lies where only its owner may look."""
    real = Path(sys.executable).resolve()
    if open_to_all(real):
        return real
    library = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    leave_out = shutil.ignore_patterns("test", "tests", "site-packages", "*.a", "idlelib", "config-*")
    shutil.copytree(Path(sys.base_prefix) / library, home / "python" / library, ignore=leave_out, copy_function=_same)
    for shared in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
        shutil.copy(shared, home / "python" / "lib")
    (home / "python" / "bin").mkdir()
    return Path(shutil.copy(real, home / "python" / "bin" / real.name))


def _same(source: str, target: str) -> None:
    """Another name of the file where that can be, else a copy: names cost nothing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="session")
def packages(home) -> Path:
    """toprope and what it needs, readable by anyone, and nothing else."""
    site = home / "site"
    shutil.copytree(Path(toprope.__file__).parent, site / "toprope")
    shutil.copytree(Path(toprope_tasks.__file__).parent, site / "toprope_tasks")
    ours = metadata.distribution("toprope")  # entry points are read from what was installed
    (site / f"toprope-{ours.version}.dist-info").mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (site / f"toprope-{ours.version}.dist-info" / name).write_text(ours.read_text(name) or "")
    installed = Path(numpy.__file__).parents[1]
    for name in PACKAGES:
        if (installed / name).is_dir():
            shutil.copytree(installed / name, site / name, ignore=shutil.ignore_patterns("tests"), copy_function=_same)
    return site


@pytest.fixture
def as_user(home, python, packages):
    """Runs toprope as the ordinary user. before: arguments of an interpreter that execs the rest."""

    def run(*args: object, before: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        root = os.geteuid() == 0
        return subprocess.run(
            [*([str(python), *before] if before else []), str(python), "-s", "-m", "toprope.cli", *map(str, args)],
            env={"PYTHONPATH": str(packages), "HOME": str(home / "home"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd=home / "home",
            capture_output=True,
            text=True,
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=[] if root else None,
        )

    return run
