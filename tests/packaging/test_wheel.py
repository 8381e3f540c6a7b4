"""The wheel: what is in it, and that it climbs outside a checkout, in an empty environment of every Python here."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
MOST = 16_000_000  # bytes
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


def others() -> list[str]:
    """One interpreter of every other version that we support: of pyenv, or on the PATH."""
    found = []
    for minor in (11, 12, 13, 14):
        own = sorted(map(str, PYENV.glob(f"3.{minor}.*/bin/python3.{minor}")))
        if minor != sys.version_info.minor and (place := own[-1] if own else shutil.which(f"python3.{minor}")):
            found.append(place)
    return found


QUIET = ("--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of what a checkout holds, so that no file is written into the checkout."""
    copy, out = tmp_path_factory.mktemp("copy") / "toprope", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps", "--wheel-dir", out, copy]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    """Every file of the two packages, no test and no study, in at most 16 MB."""
    assert wheel.stat().st_size <= MOST
    with zipfile.ZipFile(wheel) as z:
        held = {name for name in z.namelist() if ".dist-info/" not in name}
    here = {
        str(p.relative_to(ROOT / "src"))
        for package in ("toprope", "toprope_tasks")
        for p in (ROOT / "src" / package).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert held == here


def test_uvx_climbs_from_the_wheel(wheel, tmp_path):
    """One command, in a folder that holds nothing."""
    uvx = shutil.which("uvx", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uvx is None:
        pytest.skip("uv is not installed")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TOPROPE"))}
    command = [uvx, "--python", sys.executable, "--from", wheel, "toprope", "climb", "testing/coin-v1"]
    done = subprocess.run(
        [*command, "--experiments", "50", "--workers", "1", "--json"],
        cwd=tmp_path,
        env={**kept, "TOPROPE_VAULT": str(tmp_path / "vault")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["experiments"] == 50


@pytest.mark.parametrize("python", [sys.executable, *others()], ids=lambda p: Path(p).name)
def test_the_wheel_climbs_in_an_empty_environment(wheel, python, tmp_path):
    """Installed with its dependencies only, outside a checkout: tasks, two climbs, report, export, verify."""
    home = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", home], check=True, capture_output=True)
    subprocess.run([home / "bin" / "pip", "install", *QUIET, wheel], check=True, capture_output=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TOPROPE"))}

    def toprope(*words: object) -> str:
        done = subprocess.run(
            [home / "bin" / "toprope", *map(str, words)],
            cwd=outside,
            env={**kept, "TOPROPE_VAULT": str(outside / "vault")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = {card["id"] for card in json.loads(toprope("tasks", "--json"))}
    assert {"w2s/bank-v2", "control/monitor-bank-v1", "mirror/rpn-v1"} <= listed
    for number, (task, unseal) in enumerate((("testing/coin-v1", ["--unseal"]), ("w2s/bank-v2", []))):
        run, budget = f"run-{number}", ("--experiments", 200, "--workers", 1)
        said = json.loads(toprope("climb", task, *budget, "--run", run, "--report", "--json", *unseal))
        assert said["experiments"] == 200
        assert (said["test"] is not None) == bool(unseal)
        assert (outside / run / "report.html").is_file()
        assert len(toprope("export", run, "--format", "csv").splitlines()) > 1
    assert json.loads(toprope("verify", "run-0", "--json"))["ok"]
    module = subprocess.run(
        [home / "bin" / "python", "-m", "toprope", "--version"], cwd=outside, capture_output=True, text=True
    )
    assert module.stdout.startswith("toprope, version ")
