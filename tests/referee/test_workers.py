"""Scorers and hubs that are killed: every answer comes, once, and a machine that kills them all is told so."""

import contextlib
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from toprope.errors import WorkerDied
from toprope.executors.local import MAX_TRIES, LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig
from toprope.referee.recorded import Answer
from toprope.referee.vault import Vault
from toprope.sandbox.process import Zygote
from toprope.types import Block, Candidate, Tree

pytestmark = pytest.mark.e2e


def works(pool, task, n, act=0, draws=4):
    """n blocks of one variant each; act: level of the parameter, 15 hangs."""
    tree, space = pool.load(task.starter(), task.space)
    row = task.space.default()
    row[2] = act
    return [Work(i, Block(tree, space, np.array([row]), tuple(range(i, i + draws))), "dev") for i in range(n)]


def test_results_do_not_depend_on_who_dies(pool, task):
    """A scorer killed between and during blocks: each block's result comes once, and equals the undisturbed one."""
    calm = {d.id: d.result.scores.tolist() for d in pool.run(works(pool, task, 12))}
    rough: dict[int, list] = {}
    before = pool.restarts
    for count, done in enumerate(pool.run(works(pool, task, 12))):
        assert done.id not in rough
        rough[done.id] = done.result.scores.tolist()
        if count in (1, 5):
            os.kill(pool.pids[count % 2], signal.SIGKILL)
    assert rough == calm
    assert pool.restarts == before + 2


def test_a_run_that_was_left_early_spoils_no_other(pool, task):
    """Answers still on their way when a caller stops are never taken for answers of the next run."""
    for _ in pool.run(works(pool, task, 6)):
        break
    fresh = works(pool, task, 3, draws=1)
    assert {d.id: d.result.scores.shape for d in pool.run(fresh)} == dict.fromkeys(range(3), (1, 1))


@pytest.mark.slow
def test_a_block_that_always_ends_its_scorer_is_given_up():
    """After MAX_TRIES scorers the run is told; the pool works on afterwards."""
    from toprope.tasks import registry

    task = registry.load("testing/rough-coin-v1")
    pool = LocalExecutor(ScorerConfig("testing/rough-coin-v1", {"dev": b"x"}, "linux-landlock"), 1)
    stop, killed = threading.Event(), []

    def kill_at_work():
        while not stop.is_set():
            worker = pool._workers[0]
            if worker.work is not None and worker.process.pid not in killed:
                killed.append(worker.process.pid)
                worker.process.kill()
            time.sleep(0.001)

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    try:
        with pytest.raises(WorkerDied, match=f"{MAX_TRIES} times"):
            list(pool.run(works(pool, task, 1, act=15)))
    finally:
        stop.set()
        killer.join()
    assert len(killed) == MAX_TRIES
    assert [d.result.outcomes for d in pool.run(works(pool, task, 1))] == [["ok"]]
    pool.close()


def test_a_closed_pool_leaves_nobody_behind():
    """Every scorer has ended when `close` returns."""
    pool = LocalExecutor(ScorerConfig("testing/coin-v1", {"dev": b"x"}, "linux-landlock"), 2)
    pids = pool.pids
    pool.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def own(mark: str, of: int | None = None) -> set[int]:
    """Children of ours, or of another, whose command line holds the mark."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == (of or os.getpid()) and mark in (entry / "cmdline").read_text().replace("\0", " "):
                found.add(int(entry.name))
    return found


def kill_next(mark: str) -> threading.Thread:
    """Kills the next child that is started with such a command line, at once."""
    before = own(mark)

    def hunt():
        while not (new := own(mark) - before):
            time.sleep(0.001)
        os.kill(new.pop(), signal.SIGKILL)

    thread = threading.Thread(target=hunt)
    thread.start()
    return thread


def test_a_scorer_killed_while_it_starts_is_started_again(task):
    """The pool is ready all the same, and its scorers work."""
    killer = kill_next("toprope.referee.scorer")
    young = LocalExecutor(ScorerConfig("testing/rough-coin-v1", {"dev": b"x"}, "linux-landlock"), 1)
    killer.join()
    assert young.restarts == 1
    assert [d.result.outcomes for d in young.run(works(young, task, 1))] == [["ok"]]
    young.close()


def test_a_zygote_killed_while_it_starts_is_no_lack_of_protection():
    """It is a dead worker, which is worth another try; only walls that cannot be put up are NoProtection."""
    killer = kill_next(" -P -S -B")
    with pytest.raises(WorkerDied, match="while it started"):
        Zygote("numpy", frozenset())
    killer.join()


@pytest.fixture
def client(tmp_path):
    hub = HubClient(HubConfig("r", "testing/rough-coin-v1", "linux-landlock", 1, str(tmp_path / "v"), "secret"))
    yield hub
    hub.close()


def test_a_hub_killed_at_an_attempt_is_asked_again(client, coin, tmp_path):
    """Killed before it was ready, at work, and again while its successor starts: one answer each, counted once."""
    os.kill(client.pid, signal.SIGKILL)
    client.wait_ready()
    client.submit(coin(1, 0.1))
    os.kill(client.pid, signal.SIGKILL)
    heard = []
    listener = threading.Thread(target=lambda: heard.append(client.answer()))
    first = client.pid
    listener.start()
    while client.pid == first:  # killed once more while it starts
        time.sleep(0.001)
    os.kill(client.pid, signal.SIGKILL)
    listener.join()
    assert [(a.candidate, a.promoted, a.attempt) for a in heard] == [(coin(1, 0.1).id, True, 1)]
    os.kill(client.pid, signal.SIGKILL)  # between two attempts: the death is noticed when the next one is sent
    client.submit(coin(2, 0.0, "crash"))
    answer = client.answer()
    assert (answer.candidate, answer.promoted, answer.slice) == (coin(2, 0.0, "crash").id, False, 2)
    client.submit(coin(3, 0.0, "crash"))
    assert client.answer().candidate == coin(3, 0.0, "crash").id
    assert Vault(tmp_path / "v").attempts("r") == 3


SLOW = b"""
import time
import numpy as np

def answer(nonce, *, params):
    time.sleep(0.02)
    return np.array([params["face"], params["skill"], nonce[0]])
"""


def rows(vault: Path) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(vault / "sealed.db", timeout=60)) as db:
        return db.execute("SELECT attempt, candidate, promoted FROM attempts ORDER BY slice, attempt").fetchall()


def test_a_kill_in_mid_attempt_refunds_nothing(client, tmp_path):
    """Killed while the hidden draws run, asked again and killed again: the candidate keeps its number, the attempt
    was counted before it was evaluated, and another candidate gets the next number."""
    slow, other = (Candidate(Tree({"solution.py": SLOW}), {"face": face, "skill": 0.0}) for face in (1, 2))
    client.submit(slow, 3)
    heard: list[Answer] = []
    listener = threading.Thread(target=lambda: heard.append(client.answer()))
    listener.start()
    killed: set[int] = set()
    while len(killed) < 2:
        if client.pid not in killed and rows(tmp_path / "v") and own("referee.scorer", client.pid):
            time.sleep(0.5 if killed else 0.2)  # into its draws: all of them take 64 * 0.02 s at least
            os.kill(client.pid, signal.SIGKILL)
            killed.add(client.pid)
            assert rows(tmp_path / "v") == [(1, slow.id, None)]
        time.sleep(0.005)
    listener.join()
    (answer,) = heard
    assert (answer.candidate, answer.promoted, answer.attempt) == (slow.id, False, 1)
    client.submit(other, 2)
    assert client.answer().attempt == 2
    assert rows(tmp_path / "v") == [(1, slow.id, 0), (2, other.id, 0)]


def test_a_hub_at_work_is_ended_at_once(client, coin):
    """Closing does not wait for an attempt that nobody will hear of."""
    client.wait_ready()
    client.submit(coin(1, 0.1))
    client.close()
    assert client._process.returncode == -signal.SIGKILL
