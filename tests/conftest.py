"""What tests share: a vault and a cache of their own, and the command line as a program would use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for library in ("OPENBLAS", "OMP", "MKL"):  # as in the workers: on small matrices more threads only fight each other
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_vault(tmp_path, monkeypatch):
    """No test reads or writes the user's vault."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))


class Cli:
    """Runs toprope in a process of its own; `json` parses its one object."""

    def start(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "toprope.cli", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )

    def run(self, *args: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def json(self, *args: object, expect: int = 0) -> dict:
        done = self.run(*args, "--json")
        assert done.returncode == expect, done.stderr
        return json.loads(done.stdout)

    def export(self, run: Path) -> dict:
        done = self.run("export", run)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def cli() -> Cli:
    return Cli()
