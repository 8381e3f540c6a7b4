"""The commands of docs/cluster.md do what the page says."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """The indented lines under a heading of the page, up to its first subheading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    return [line.strip() for line in section.splitlines() if line.startswith("    toprope")]


def run(lines: list[str], folder: Path) -> str:
    """What the last of the lines prints, in a shell."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_directory_form(tmp_path):
    """One climb through a shared directory; its summary names directory and node."""
    lines = commands("A shared directory")
    assert [line.split()[1] for line in lines] == ["worker", "climb", "show"]
    shown = json.loads(run(lines, tmp_path))
    assert shown["executor"] == f"dir:{tmp_path}/shared"
    assert sum(node["blocks"] for node in shown["nodes"]) > 0


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra [ray] is not installed")
def test_the_ray_form(tmp_path):
    """One climb on a Ray cluster of this machine."""
    lines = commands("Ray")
    assert [line.split()[1] for line in lines] == ["climb", "show"]
    shown = json.loads(run(lines, tmp_path))
    assert (shown["executor"], len(shown["nodes"])) == ("ray", 1)
