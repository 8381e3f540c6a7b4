"""Completion in the shell, as docs/commands.md says, and `python -m toprope`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def toprope(*words, **variables):
    command = [sys.executable, "-m", "toprope", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})


def completed(*words: str) -> list[str]:
    """What bash is offered for the last word."""
    typed = {"COMP_WORDS": " ".join(["toprope", *words]), "COMP_CWORD": str(len(words))}
    done = toprope(_TOPROPE_COMPLETE="bash_complete", **typed)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_module_is_the_command():
    """Also with its name in usage lines."""
    done = toprope("climb")
    assert done.returncode == 2
    assert done.stderr == "toprope: Missing argument 'TASK'. (see `toprope climb --help`)\n"
    assert toprope("--version").stdout.startswith("toprope, version ")


def test_commands_options_and_tasks_are_completed():
    """A word that begins no task is left to the shell as a file, because a folder may be a task."""
    assert completed("cl") == ["plain,clean", "plain,climb"]
    assert completed("climb", "x", "--cl") == ["plain,--climber"]
    assert completed("climb", "w2s/b") == ["plain,w2s/bank-v1", "plain,w2s/bank-v2"]
    assert completed("bench", "mirror/") == ["plain,mirror/calgrid-v1", "plain,mirror/rpn-v1"]
    assert completed("check", "./my") == ["file,./my"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_defines_the_completion(shell, tmp_path):
    """The line of the page, run by the shell itself where it is installed; else its script is made all the same."""
    (line,) = re.findall(rf"^    (.*_TOPROPE_COMPLETE={shell}_source toprope\b.*?)\s+#", PAGE.read_text(), re.MULTILINE)
    assert "_toprope_completion" in toprope(_TOPROPE_COMPLETE=f"{shell}_source").stdout
    if shell != "bash" or shutil.which("bash") is None:
        return
    (tmp_path / "toprope").symlink_to(Path(sys.executable).parent / "toprope")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ask = f"{line}\ncomplete -p toprope"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert "_toprope_completion" in done.stdout, done.stderr
