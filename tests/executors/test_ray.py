"""Work on a Ray cluster: the contract, two nodes, lost actors, nodes and heads, and what candidates cannot reach."""

import contextlib
import glob
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

import ray
from nodes import until
from ray.cluster_utils import Cluster

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))
from kit import TIERS, assault

from toprope.errors import RunError, UsageError
from toprope.executors import base, registry
from toprope.executors.cluster import RayExecutor
from toprope.executors.messages import ScorerConfig
from toprope.journal.reading import read
from toprope.seeding import dev_secret
from toprope.testing.executors import TASK, ExecutorContract, works
from toprope.types import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore")]  # Ray's own
COIN = "testing/coin-v1"
LONG = 400  # experiments of a climb that something happens to
HEAD = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


@contextlib.contextmanager
def cluster(nodes: int = 1):
    """A head and so many nodes, one core each, as processes of this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        for _ in range(nodes):
            made.add_node(**NODE)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def connected():
    """This process is a driver of a cluster with two nodes; an executor uses what it is connected to."""
    with cluster() as made:
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()


def hands() -> list[int]:
    """Processes of actors."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::Hand"):
                found.append(int(entry.name))
    return found


@pytest.mark.usefixtures("connected")
class TestRay(ExecutorContract):
    def make_executor(self, config, workers, progress, broker):
        return RayExecutor(config, workers, progress, broker)

    def lose(self, executor):
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(hands()), signal.SIGKILL)


def test_one_actor_per_core_and_one_block_each(connected):
    """Backpressure: never more blocks on the way than there are cores, however many wait."""
    with contextlib.closing(RayExecutor(ScorerConfig(TASK, {"dev": dev_secret(0)}, "linux-landlock"), 7)) as executor:
        most = 0
        for _ in base.run(executor, works(executor, 12)):
            most = max(most, len(executor._pending))
        assert 1 <= most <= 2
        until(lambda: len(hands()) == 2)
    until(lambda: not hands())


def test_it_tells_nobody_and_serves_no_page(connected):
    """Usage reports are off before Ray is imported, and no dashboard listens."""
    from ray._common.usage import usage_lib

    assert registry.named("ray").word == "ray"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not usage_lib.usage_stats_enabled()
    assert not ray._private.worker.global_worker.node.webui_url


def test_a_run_directory_does_not_choose_a_cluster():
    """Ray unpickles what a cluster sends: `resume` uses one of this machine, and asks for another one by name."""
    assert registry.named("ray").remembered
    assert not registry.named("ray:10.0.0.1:6379").remembered
    with pytest.raises(UsageError, match=r"toprope resume run --executor ray:10.0.0.1:6379"):
        registry.of_record("ray:10.0.0.1:6379", "run")


CONNECT = """
import socket
socket.create_connection(("127.0.0.1", $port), 1).close()
return SUCCESS
"""
SOCKET = """
import socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect($socket)
return SUCCESS
"""
FILES = """
os.listdir($session)
return SUCCESS
"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_candidate_cannot_reach_the_cluster(tier, connected):
    """Neither the port of the head, nor a socket of a node, nor Ray's files; without its layers it reaches them."""
    session = ray._private.worker.global_worker.node.get_session_dir_path()
    given = {
        "port": int(connected.address.rpartition(":")[2]),
        "socket": glob.glob(f"{session}/sockets/raylet*")[0],
        "session": session,
    }
    for cheat, end, layers in (
        (CONNECT, Outcome.VIOLATION, {"seccomp", "landlock", "rlimits", "fds"}),
        (SOCKET, Outcome.VIOLATION, {"seccomp", "landlock", "rlimits", "fds"}),
        (FILES, Outcome.CRASH, {"landlock"}),
    ):
        outcome, value, result = assault(cheat, tier=tier, **given)
        assert (outcome, value) == (end, 0.0), result
        assert assault(cheat, frozenset(layers), **given)[1] == 666.0


# ---------------------------------------------------------------- climbs


def words(run: Path, *options: object, experiments: int = 40) -> list[object]:
    return ["climb", COIN, "--experiments", experiments, "--rehearsal-secret", "x", "--run", run, *options]


def blocks(run: Path) -> dict[str, tuple]:
    return {b.id: (b.scores.tobytes(), b.rows.tobytes(), b.outcomes, b.messages) for b in read(run).blocks}


def start(*args: object) -> subprocess.Popen[str]:
    """In a process of its own: Ray does not survive the fork of a tried interpreter."""
    argv = [sys.executable, "-m", "toprope.cli", *map(str, args)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str], seconds: float = 240.0) -> None:
    err = process.communicate(timeout=seconds)[1]
    assert process.returncode == 0, err


def recorded(run: Path) -> int:
    """Experiments up to the last recorded generation."""
    try:
        return read(run).experiments if (run / "ledger.db").exists() else 0
    except RunError:  # it has not begun
        return 0


@contextlib.contextmanager
def stopped(process: subprocess.Popen[str], run: Path) -> Iterator[None]:
    """The run process stands still in the middle of its climb, however fast the machine is."""
    until(lambda: recorded(run), 120)
    process.send_signal(signal.SIGSTOP)
    try:
        assert recorded(run) < LONG
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("actors", [1, 2, 8])
def test_the_same_climb_as_on_this_machine(cli, tmp_path, actors):
    """On a cluster of this machine's own: same proposals, scores, champion and blocks."""
    assert cli.run(*words(tmp_path / "local")).returncode == 0
    finished(start(*words(tmp_path / "ray", "--executor", "ray", "--workers", actors)))
    assert cli.export(tmp_path / "ray") == cli.export(tmp_path / "local")
    assert blocks(tmp_path / "ray") == blocks(tmp_path / "local")
    assert cli.json("show", tmp_path / "ray")["executor"] == "ray"


def test_a_lost_node_loses_its_blocks_only(cli, tmp_path):
    """A node of two is killed during the climb, and an actor with it; a third one comes; the climb is the same."""
    assert cli.run(*words(tmp_path / "local", experiments=LONG)).returncode == 0
    with cluster(0) as made:
        second = made.add_node(**NODE)
        run = tmp_path / "ray"
        process = start(*words(run, "--executor", "ray", "--ray-address", made.address, experiments=LONG))
        with stopped(process, run):
            made.remove_node(second, allow_graceful=False)
            for pid in hands():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            made.add_node(**NODE)
        finished(process)
    assert cli.export(run) == cli.export(tmp_path / "local")


@pytest.mark.slow  # Ray takes a minute to notice
def test_a_lost_head_ends_the_session_and_loses_nothing(cli, tmp_path):
    """The run process ends; `resume` goes on, here on this machine, with what the ledger holds."""
    assert cli.run(*words(tmp_path / "local", experiments=LONG)).returncode == 0
    run = tmp_path / "ray"
    with cluster() as made:
        process = start(*words(run, "--executor", "ray", "--ray-address", made.address, experiments=LONG))
        with stopped(process, run):
            made.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        err = process.communicate(timeout=240)[1]
        assert process.returncode != 0
        assert "Traceback" not in err
    again = cli.run("resume", run)
    assert (again.returncode, "--executor ray:" in again.stderr) == (2, True), again.stderr
    assert cli.run("resume", run, "--executor", "local").returncode == 0
    assert cli.export(run) == cli.export(tmp_path / "local")
