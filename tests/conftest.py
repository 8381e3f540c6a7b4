"""What tests share: a vault and a cache of their own, and the command line as a program would use it."""

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ordinary import as_user, home, packages, python  # noqa: F401 (fixtures)
from preforked import Preforked

for library in ("OPENBLAS", "OMP", "MKL"):  # as in the workers: on small matrices more threads only fight each other
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_vault(tmp_path, monkeypatch):
    """No test reads or writes the user's vault, or leaves a task folder behind for the next."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    monkeypatch.setenv("TOPROPE_TASKS", "")


END_TO_END = {"cli", "as_user", "pool"}  # fixtures that start the processes of a run


def pytest_collection_modifyitems(items):
    """Marks what uses one of them; a module whose tests start processes by themselves says so."""
    for item in items:
        if END_TO_END & set(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")


class Cli:
    """Runs toprope in a process of its own; `json` parses its one object. `start` begins with a new interpreter, the
    others with one that has proved the sandbox already."""

    def __init__(self, preforked: Preforked) -> None:
        self._preforked, self._path = preforked, os.environ.get("PYTHONPATH")

    def start(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "toprope.cli", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )

    def run(self, *args: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        if os.environ.get("PYTHONPATH") == self._path:
            return self._preforked.run([str(a) for a in args], timeout)
        process = self.start(*args)  # other packages than those of the process that forks
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


@pytest.fixture(scope="session")
def cli():
    preforked = Preforked()
    yield Cli(preforked)
    preforked.close()


@pytest.fixture
def nothing_left_running(cli):
    """Whatever a command did: no hub, scorer or zygote outlives it (orphans come to us, a subreaper)."""
    before = set(_own_children())  # sandboxes that other tests hold open
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    yield
    end = time.monotonic() + 60
    while left := {pid: command for pid, command in _own_children().items() if pid not in before}:
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.02)
    libc.prctl(36, 0, 0, 0, 0)


def _own_children() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            if len(fields) > 1 and int(fields[1]) == os.getpid():
                if fields[0] == "Z":
                    os.waitpid(int(entry.name), os.WNOHANG)
                else:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    return found
