"""What tests share: a vault and a cache of their own, and the command line as a program would use it."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import blas  # noqa: F401
import pytest
from ordinary import as_user, home, packages, python  # noqa: F401 (fixtures)
from preforked import Preforked

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the shell's for a job in the background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_vault(tmp_path, monkeypatch):
    """No test reads or writes the user's vault, or leaves a task folder behind for the next."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    monkeypatch.setenv("TOPROPE_TASKS", "")


@pytest.fixture(scope="session")
def cache_of_states(tmp_path_factory):
    """A cache of hidden states for this session, shared by its workers, so that each bank is built once and no test
    reads what another version left behind. Two workers may build one bank at the same time: the second is dropped."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "states"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPROPE_CACHE", str(place))
        patch.delenv("TOPROPE_W2S_WEIGHTS", raising=False)
        yield


# ---------------------------------------------------------------- unit and end-to-end

END_TO_END = {"cli", "as_user"}  # fixtures that start processes
STARTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"}  # audit events
running: pytest.Item | None = None


def pytest_collection_modifyitems(items):
    """Marks what uses one of these; a module whose tests start processes by themselves says so. Modules with such tests
    come first, then those of tasks, which share what is slow to make: a worker that has no more to do takes tests from
    the end of the other's list (`--dist worksteal`), and these should be quick."""
    first: dict[Path, int] = {}
    for item in items:
        if END_TO_END & set(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")
        rank = 1 if "toprope_tasks" in item.path.parts else 0 if item.get_closest_marker("e2e") else 2
        first[item.path] = min(rank, first.get(item.path, rank))
    items.sort(key=lambda item: first[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    global running
    running = item
    try:
        return (yield)
    finally:
        running = None


def _only_end_to_end(event, arguments):
    """An audit hook: a test that starts a process without the mark fails where it does."""
    if event in STARTS and running is not None and running.get_closest_marker("e2e") is None:
        pytest.fail(f"{running.nodeid} starts a process ({arguments[:2]}): mark it with pytest.mark.e2e")


sys.addaudithook(_only_end_to_end)


class Cli:
    """Runs toprope in a process of its own; `json` parses its one object. `start` begins with a new interpreter, the
    others with one that has proved the sandbox already."""

    def __init__(self, preforked: Preforked) -> None:
        self._preforked = preforked

    def start(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "toprope.cli", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )

    def run(self, *args: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return self._preforked.run([str(a) for a in args], timeout)

    def json(self, *args: object, expect: int = 0, timeout: float = 300) -> dict:
        done = self.run(*args, "--json", timeout=timeout)
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


@pytest.fixture(scope="session")
def finished(cli, tmp_path_factory):
    """A folder with a run that has promotions and refusals, its test open and its report written, and with the vault
    that knows it; and what its climb printed. Tests copy the folder before they change anything."""
    base = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPROPE_VAULT", str(base / "vault"))
        budget = ("--experiments", 150, "--workers", 1, "--seed", 2)
        printed = cli.json("climb", "testing/coin-v1", *budget, "--run", base / "run", "--unseal", "--report")
    return base, printed


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
