"""Workers end as quietly as they work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_nothing_is_left_open(tmp_path: Path) -> None:
    """With every warning an error, a run says nothing of sockets that hub and scorers left open."""
    command = ["climb", "testing/coin-v1", "--experiments", "10", "--workers", "1", "--run", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "toprope.cli", *command],
        env={**os.environ, "PYTHONWARNINGS": "error", "TOPROPE_VAULT": str(tmp_path / "vault")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ignored" not in done.stderr
    assert "unclosed" not in done.stderr
