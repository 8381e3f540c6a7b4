"""Work through a shared directory: the contract, what nodes refuse, what a broken or forged file does, and kills."""

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from nodes import Nodes, nodes, until

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))
from kit import TIERS, assault

from toprope.errors import UsageError, WorkerDied
from toprope.executors import base, registry, shelf
from toprope.executors.directory import DirectoryExecutor
from toprope.executors.elsewhere import Lane, Terms
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Load, ScorerConfig, Work
from toprope.journal.reading import read
from toprope.seeding import dev_secret
from toprope.testing.executors import TASK, ExecutorContract, columns, works
from toprope.types import Outcome

pytestmark = pytest.mark.e2e
CONFIG = ScorerConfig(TASK, {"dev": dev_secret(0)}, "linux-landlock", marked=True)
COIN = "testing/coin-v1"


class Attended(DirectoryExecutor):
    """With workers of its own, which end with it."""

    def __init__(self, path: Path, config: ScorerConfig, workers: int, lease_s: float) -> None:
        super().__init__(config, workers, argument=str(path), lease_s=lease_s)
        self.nodes = Nodes(path)
        for _ in range(workers):
            self.nodes.start("--workers", 1)

    def close(self):
        super().close()
        self.nodes.close()


class TestDirectory(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.path = tmp_path / "shared"

    def make_executor(self, config, workers, progress, broker):
        return Attended(self.path, config, workers, lease_s=3.0)

    def lose(self, executor):
        executor.nodes.lose()


@pytest.fixture
def shared(tmp_path):
    return tmp_path / "shared"


@pytest.fixture
def executor(shared):
    with contextlib.closing(DirectoryExecutor(CONFIG, 1, argument=str(shared), lease_s=3.0)) as made:
        yield made


def session(shared: Path) -> Path:
    (one,) = (shared / "sessions").iterdir()
    return one


# ---------------------------------------------------------------- what may lie in the directory


@pytest.fixture
def honest(shared, executor):
    """A lane that plays a worker, by hand."""
    with contextlib.closing(Lane(shelf.get(session(shared) / "terms", Terms))) as lane:
        yield lane


def answered_by_hand(shared, executor, lane, tamper, count=2):
    """The answers to `count` works of a run whose worker first lets `tamper` write what it wants for each work."""
    at, ended = session(shared), threading.Event()

    def play() -> None:
        seen: set[str] = set()
        while not ended.is_set():
            for name in shelf.names(at / "todo"):
                lease = at / "taken" / f"{name}+hand"
                if not shelf.moved(at / "todo" / name, lease):
                    continue
                work = shelf.get(lease, Work)
                tree = shelf.get(at / "files" / work.block.tree, Load).tree
                space = shelf.get(at / "files" / work.block.space, Load).space
                done = lane.score(work, tree, space)
                if name in seen or not tamper(at / "done" / name, done):
                    shelf.put(at / "done" / name, done)
                seen.add(name)
            time.sleep(0.01)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        return {d.id: columns(d) for d in base.run(executor, works(executor, count))}
    finally:
        ended.set()
        thread.join()


def boom() -> None:
    raise AssertionError("unpickled")


class Bomb:
    def __reduce__(self):
        return (boom, ())


def pickled(path, done):
    path.write_bytes(pickle.dumps(Bomb()))
    return True


def oversized(path, done):
    with path.open("wb") as file:
        file.truncate(shelf.LARGEST + 1)
    return True


def pipe(path, done):
    os.mkfifo(path)
    return True


def link(path, done):
    path.symlink_to("/etc/passwd")
    return True


def short(path, done):
    return shelf.put(path, replace(done, floors=done.floors[:1]))


def better(path, done):
    """Not a number where an honest answer has a score."""
    return shelf.put(path, replace(done, result=replace(done.result, scores=done.result.scores * np.nan)))


def nameless(path, done):
    return shelf.put(path, replace(done, node=None))


def elsewhere(path, done):
    return shelf.put(path, replace(done, node=replace(done.node, task="another")))


def unprintable(path, done):
    return shelf.put(path, replace(done, node=replace(done.node, name="\x1b[31mred")))


QUICK = (pickled, pipe, elsewhere)
REST = (oversized, link, short, better, nameless, unprintable)


@pytest.mark.parametrize("tamper", [*QUICK, *(pytest.param(t, marks=pytest.mark.slow) for t in REST)])
def test_a_wrong_answer_is_no_answer(tamper, shared, executor, honest):
    """Whatever lies in its place: it is never unpickled, followed or waited for; the work is done again and the sender
    is barred."""
    found = answered_by_hand(shared, executor, honest, tamper)
    with contextlib.closing(LocalExecutor(CONFIG, 1)) as one:
        assert found == {d.id: columns(d) for d in one.run(works(one, 2))}
    assert (session(shared) / "barred" / "hand").exists()


def test_an_answer_nobody_asked_for_is_removed(shared, executor, honest):
    """Under a name of no work it counts for nothing."""

    def uninvited(path, done):
        shelf.put(path.with_name("999999.000000"), done)

    assert set(answered_by_hand(shared, executor, honest, uninvited)) == {0, 1}


def test_a_block_that_ends_its_workers_ends_the_run(shared, executor, honest):
    """After MAX_LOST unreadable answers, in one line; the run can be resumed."""
    at = session(shared)

    ended = threading.Event()

    def spoil() -> None:
        while not ended.is_set():
            for name in shelf.names(at / "todo"):
                (at / "todo" / name).unlink(missing_ok=True)
                (at / "done" / name).mkdir(exist_ok=True)  # what cannot even be removed
            time.sleep(0.01)

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        with pytest.raises(WorkerDied, match="did not finish the same block"):
            list(base.run(executor, works(executor, 1)))
    finally:
        ended.set()
        thread.join()


def test_files_are_for_their_owner_only(shared, executor):
    """Folders 700, files 600."""
    list(zip(works(executor, 1), [None], strict=True))
    for path in shared.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_directory_of_others_is_refused(tmp_path):
    """One line names the mode, why, and the remedy."""
    open_ = tmp_path / "open"
    open_.mkdir()
    open_.chmod(0o777)
    with pytest.raises(UsageError, match=r"mode 777.*forge practice scores.*chmod 700"):
        DirectoryExecutor(CONFIG, 1, argument=str(open_))


def test_hidden_work_and_questions_stay_here(shared):
    """A configuration with a hidden secret, or with a broker, is refused before anything is written."""
    with pytest.raises(UsageError, match="practice work only"):
        DirectoryExecutor(replace(CONFIG, secrets={"val": b"x" * 32}), 1, argument=str(shared))
    with pytest.raises(UsageError, match="carries no questions"):
        DirectoryExecutor(CONFIG, 1, broker=object(), argument=str(shared))
    assert not list((shared / "sessions").iterdir())


STEAL = """
open($terms, "rb").read()
os.listdir($folder)
return SUCCESS
"""
FORGE = """
with open($forged, "wb") as file:
    file.write(b"forged")
return SUCCESS
"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_candidate_cannot_reach_the_directory(tier):
    """Though every mode is open: the walls of both tiers hide it. Without its layers a cheat reads it and writes an
    answer."""
    base_ = Path(tempfile.mkdtemp())
    base_.chmod(0o755)
    try:
        executor = DirectoryExecutor(CONFIG, 1, argument=str(base_ / "shared"))
        with contextlib.closing(executor):
            works(executor, 1)
            at = session(base_ / "shared")
            for path in [base_ / "shared", *(base_ / "shared").rglob("*")]:
                path.chmod(0o777)
            forged = at / "done" / "000001.000000"
            given = {"terms": str(at / "terms"), "folder": str(at / "todo"), "forged": str(forged)}
            for cheat, layers in ((STEAL, {"landlock"}), (FORGE, {"landlock", "seccomp", "rlimits"})):
                outcome, value, result = assault(cheat, tier=tier, **given)
                assert (outcome, value, forged.exists()) == (Outcome.CRASH, 0.0, False), result
                assert assault(cheat, frozenset(layers), **given)[1] == 666.0
                forged.unlink(missing_ok=True)
    finally:
        shutil.rmtree(base_)


# ---------------------------------------------------------------- names and options


def test_its_name_is_completed(tmp_path, monkeypatch):
    """A run records an absolute path; other executors take nothing after their name."""
    monkeypatch.chdir(tmp_path)
    assert registry.named("dir:shared").word == f"dir:{tmp_path / 'shared'}"
    for wrong, match in (("dir", "expected --executor dir:PATH"), ("local:x", "takes nothing"), ("moon", "is unknown")):
        with pytest.raises(UsageError, match=match):
            registry.named(wrong)


def test_ray_is_an_extra(monkeypatch):
    """Without it, one line says how to install it, before anything is made."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'toprope\[ray\]'"):
        registry.named("ray")


# ---------------------------------------------------------------- the command line


def climb(cli, run, *options, experiments=40):
    return cli.json("climb", COIN, "--experiments", experiments, "--rehearsal-secret", "x", "--run", run, *options)


def blocks(run: Path) -> dict[str, tuple]:
    """What the blocks of a ledger hold, without times and places."""
    return {b.id: (b.scores.tobytes(), b.rows.tobytes(), b.outcomes, b.messages) for b in read(run).blocks}


def test_the_same_climb_as_on_this_machine(cli, tmp_path, shared):
    """Same proposals, scores, champion and blocks; the JSON names the executor and its nodes."""
    here = climb(cli, tmp_path / "local")
    with nodes(shared, 2):
        there = climb(cli, tmp_path / "dir", "--executor", f"dir:{shared}")
    assert cli.export(tmp_path / "local") == cli.export(tmp_path / "dir")
    assert blocks(tmp_path / "local") == blocks(tmp_path / "dir")
    assert (here["executor"], here["nodes"]) == ("local", [])
    assert there["executor"] == f"dir:{shared}"
    (node,) = there["nodes"]
    assert node["tier"] == there["protection"]["tier"]
    assert node["blocks"] == len(read(tmp_path / "dir").blocks)


@pytest.mark.slow
def test_a_killed_run_goes_on_in_its_directory(cli, tmp_path, shared):
    """kill -9 of the run process while it waits for workers: `resume` finds the directory by itself."""
    run = tmp_path / "run"
    climb(cli, tmp_path / "local")
    process = cli.start(
        "climb", COIN, "--experiments", 40, "--rehearsal-secret", "x", "--run", run, "--executor", f"dir:{shared}"
    )
    until(lambda: list(shared.glob("sessions/*/todo/0*")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with nodes(shared, 1):
        assert cli.json("resume", run)["nodes"]
    assert cli.export(run) == cli.export(tmp_path / "local")


@pytest.mark.slow
def test_more_blocks_do_not_change_the_climb(cli, tmp_path):
    """A rung that is cut for more cores gives the same candidates, scores and champion."""
    few, many = climb(cli, tmp_path / "few"), climb(cli, tmp_path / "many", "--blocks", 64)
    assert cli.export(tmp_path / "few") == cli.export(tmp_path / "many")
    assert len(read(tmp_path / "many").blocks) > 2 * len(read(tmp_path / "few").blocks)
    assert few["champion"] == many["champion"]


def own_task(cli, folder: Path) -> Path:
    assert cli.run("new", folder, "--id", "own/thing-v1").returncode == 0
    return folder


def ended(worker: subprocess.Popen, code: int) -> str:
    err = worker.communicate(timeout=120)[1]
    assert worker.returncode == code, err
    return err.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_task_in_a_folder(cli, tmp_path, shared):
    """A node works on it once its own user names the folder; without that, and for another version of the task, it
    refuses in one line."""
    folder = own_task(cli, tmp_path / "mine")
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    toml = changed / "task.toml"
    text = toml.read_text()
    assert "wall_s" in text
    toml.write_text(
        "\n".join("wall_s = 3.5" if line.startswith("wall_s") else line for line in text.splitlines()) + "\n"
    )
    words = ["climb", folder, "--experiments", 8, "--rehearsal-secret", "x", "--run", tmp_path / "run"]
    process = cli.start(*words, "--executor", f"dir:{shared}")
    try:
        until(lambda: list(shared.glob("sessions/*/todo/0*")))
        with nodes(shared) as some:
            last = ended(some.start("--workers", 1, TOPROPE_TASKS=""), 2)
            assert "does not know task own/thing-v1" in last
            assert "--task DIR" in last
            last = ended(some.start("--workers", 1, "--task", changed), 2)
            assert "differs from the run's in splits, limits and metric" in last
            some.start("--workers", 1, "--task", folder)
            err = process.communicate(timeout=120)[1]
            assert process.returncode == 0, err
    finally:
        process.kill()
        process.communicate()


def test_a_worker_has_walls_unless_its_user_says_otherwise(shared):
    """A directory's terms cannot take the sandbox away."""
    with contextlib.closing(DirectoryExecutor(replace(CONFIG, tier="none"), 1, argument=str(shared))) as executor:
        at = session(shared)
        shelf.put(at / "todo" / "000001.000000", works(executor, 1)[0])
        with nodes(shared) as some:
            assert "--i-trust-the-candidates" in ended(some.start("--workers", 1), 2)
    assert not at.exists()


def test_a_worker_ends_when_idle_and_when_told(shared):
    """--idle-exit: done. SIGTERM: interrupted, and its blocks are put back at once."""
    with nodes(shared) as some:
        assert some.start("--workers", 1, "--idle-exit", 0.5).wait(60) == 0
        with contextlib.closing(DirectoryExecutor(CONFIG, 1, argument=str(shared))) as executor:
            at, worker = session(shared), some.start("--workers", 1)
            slow = works(executor, 1)[0]
            rows = np.array(slow.block.rows)
            rows[:, -1] = 15  # hangs until its limit
            shelf.put(
                at / "todo" / "000001.000000",
                replace(slow, block=replace(slow.block, rows=rows, draws=tuple(range(60)))),
            )
            until(lambda: shelf.names(at / "taken"))
            worker.terminate()
            assert "nothing is lost" in ended(worker, 130)
            assert shelf.names(at / "todo") == ["000001.000000"]
            assert shelf.names(shared / "workers") == []


def test_times_are_the_file_servers(shared, executor, monkeypatch):
    """A node whose clock is a day off keeps its leases: no clock of a machine is read."""
    lease = session(shared) / "taken" / "000001.000000+other"
    shelf.put(lease, "")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= shelf.age(lease, shelf.now(executor._alive)) < 60
    os.utime(lease, (1, 1))
    assert shelf.age(lease, shelf.now(executor._alive)) > executor._lease_s


@pytest.mark.slow
def test_kills_of_everything(cli, tmp_path, shared):
    """Workers and the run process die again and again by kill -9; the export is that of an undisturbed run."""
    assert climb(cli, tmp_path / "calm", experiments=400)
    words = ["climb", COIN, "--experiments", 400, "--rehearsal-secret", "x", "--run", tmp_path / "rough"]
    process = cli.start(*words, "--executor", f"dir:{shared}")
    with nodes(shared, 2) as some:
        for turn in range(6):
            time.sleep(4)
            if process.poll() is not None:
                break
            if turn % 2:
                some.lose()
            elif (tmp_path / "rough" / "ledger.db").exists():
                process.kill()
                process.communicate()
                process = cli.start("resume", tmp_path / "rough")
        err = process.communicate(timeout=300)[1]
    assert process.returncode == 0, err
    assert cli.export(tmp_path / "rough") == cli.export(tmp_path / "calm")
