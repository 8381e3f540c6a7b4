"""`py.typed`: type checkers read our annotations from an installation, accept a user's program, and find mistakes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TYPED = Path(__file__).parent / "typed"
WRONG = {7, 8, 9, 10}  # lines of wrong.py


def checked(tmp_path, *command: str) -> str:
    """What a checker says of both files, copied to where no configuration of ours is read."""
    for name in ("user.py", "wrong.py"):
        shutil.copy(TYPED / name, tmp_path)
    done = subprocess.run([*command, "user.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    return done.stdout


def found(said: str) -> set[tuple[str, int]]:
    """(file, line) of each error."""
    lines = [line.strip().replace(" - error", ": error") for line in said.splitlines()]
    parts = [line.rpartition("/")[2].split(":") for line in lines if ": error" in line]
    return {(name, int(line)) for name, line, *_ in parts}


def test_mypy_accepts_a_user_and_finds_mistakes(tmp_path):
    """In its strict form."""
    said = checked(tmp_path, sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental")
    assert found(said) == {("wrong.py", line) for line in WRONG}, said


@pytest.mark.parametrize("pyright", ["pyright", "basedpyright"])
def test_pyright_accepts_a_user_and_finds_mistakes(pyright, tmp_path):
    """The same. `pyright` fetches its program from a registry when it is first run; `basedpyright` brings it."""
    if (program := shutil.which(pyright, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")) is None:
        pytest.skip(f"{pyright} is not installed")
    said = checked(tmp_path, program, "--pythonpath", sys.executable, "--level", "error")
    assert found(said) == {("wrong.py", line) for line in WRONG}, said
