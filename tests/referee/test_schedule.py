"""Answers leave on a public schedule: the clock tells one tick, which is counted, and nothing about the work."""

import math
import threading
import time

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.referee.draws import DrawStore
from toprope.referee.hub import Hub
from toprope.referee.schedule import MOST_DELAY_EXPONENT, Schedule, base_delay_exponent
from toprope.referee.vault import Vault
from toprope.stats.leak import RELEASE_SLOTS, answer_bits, release_bits
from toprope.stats.spending import attempt_level
from toprope.types import Candidate, Tree

pytestmark = pytest.mark.e2e

ROUGH = "testing/rough-coin-v1"
SLEEPER = """
import time
import numpy as np

def answer(nonce, *, params):
    if nonce[0] < params["below"]:  # a property of the hidden draw
        time.sleep(params["sleep"])
    return np.array([0, 0, -1.0])
"""  # its answers are worth nothing, so that every attempt ends after the first look


def sleeper(sleep: float, below: float = 0.1, again: int = 0) -> Candidate:
    return Candidate(Tree({"solution.py": SLEEPER.encode()}), {"sleep": sleep, "below": below, "again": again})


def in_class(task, secret: bytes) -> int:
    """How many of the draws of the first look are in the class, with this run secret."""
    store = DrawStore(task, {"val": secret})
    draws = [store.get("val", 1, i).draw for i in range(32)]
    store.close()
    return sum(bool(d.public["nonce"][0] < 0.1) for d in draws)


@pytest.fixture
def worlds(task):
    """Two run secrets that a candidate would like to tell apart: none and at least six draws in the class."""
    secrets = [bytes([i]) * 32 for i in range(256)]
    counts = [in_class(task, s) for s in secrets]
    assert max(counts) >= 6
    return secrets[int(np.argmin(counts))], secrets[int(np.argmax(counts))]


def seconds(tmp_path, secret: bytes, on_schedule: bool, tries: int) -> tuple[float, set[int]]:
    """The quickest of a few answers to the sleeper in a world, and the ticks at which they left."""
    from toprope.tasks import registry

    task, vault = registry.load(ROUGH), Vault(tmp_path / f"{secret.hex()}{on_schedule}")
    run = vault.open_run("r", ROUGH, None)._replace(secret=secret)
    pool = LocalExecutor(ScorerConfig(ROUGH, {"val": secret, "measure": secret}, "linux-landlock"), 1)
    try:
        hub = Hub(task, vault, run, pool, on_schedule)
        times, release_slots = [], set()
        for i in range(tries):
            start = time.monotonic()
            release_slots.add(hub.attempt(sleeper(0.15, again=i), 4).release_slot)
            times.append(time.monotonic() - start)
        return min(times), release_slots
    finally:
        pool.close()


@pytest.mark.slow
def test_a_candidate_that_sleeps_on_hidden_data_tells_nothing(tmp_path, worlds):
    """It tells two worlds apart by the clock when answers leave at once; on the schedule both are the same tick."""
    few, many = worlds
    (quick, _), (slow, _) = (seconds(tmp_path, w, on_schedule=False, tries=2) for w in worlds)
    assert slow - quick > 0.45, "the attack no longer works without the schedule: this test would prove nothing"
    for world in (few, many):
        least, release_slots = seconds(tmp_path, world, on_schedule=True, tries=1)
        assert release_slots == {0}
        assert least >= 4.0  # tick_s 0.25 at pace 4; how much later depends on the machine alone


@pytest.fixture
def hub(pool, task, tmp_path):
    vault = Vault(tmp_path / "vault")
    run = vault.open_run("r", ROUGH, None)._replace(secret=b"a secret for tests")
    return Hub(task, vault, run, pool), vault


def verdicts(vault: Vault) -> list[tuple]:
    return vault._db.execute("SELECT attempt, tick, level, error FROM verdicts ORDER BY slice, attempt").fetchall()


def test_work_beyond_the_last_tick_is_not_yet(hub, coin, pool):
    """It is ended, answered at the last tick, counted; and what its tick told is charged to the attempts after it."""
    referee, vault = hub
    start = time.monotonic()
    late = referee.attempt(sleeper(0.4, below=1.0))  # 32 draws of 0.4 s on two scorers against a cap of 4 s
    assert (late.promoted, late.release_slot, late.attempt) == (False, RELEASE_SLOTS - 1, 1)
    assert time.monotonic() - start >= 0.25 * 2 ** (RELEASE_SLOTS - 1) - 0.1
    pool.refresh()
    better = referee.attempt(coin(2, 0.1), 2)
    assert better.promoted
    (_, _, first, error), (_, _, second, none) = verdicts(vault)
    assert error.startswith("TooLate")
    assert none == ""
    assert first == pytest.approx(attempt_level(1, 1, 1))
    assert second == pytest.approx(attempt_level(1, 1, 2) + release_bits(RELEASE_SLOTS - 1) * math.log(2))


def test_an_attempt_nobody_heard_is_charged_in_full(tmp_path):
    """Who saw the ticks pass and left is charged as if all had passed; other slices are not."""
    vault = Vault(tmp_path)
    vault.begin_attempt("r", 1, "left alone")
    number, _ = vault.begin_attempt("r", 1, "next")
    assert vault.disclosed_timing_bits("r", 1, number) == release_bits(RELEASE_SLOTS - 1)
    assert vault.disclosed_timing_bits("r", 2, 1) == 0


def test_dying_scorers_are_a_not_yet_on_schedule(tmp_path, task, coin):
    """An error says neither its name nor when it happened; the operator finds it in the vault."""
    vault = Vault(tmp_path / "vault")
    run = vault.open_run("r", ROUGH, None)
    pool = LocalExecutor(ScorerConfig(ROUGH, {"val": b"x", "measure": b"x"}, "linux-landlock"), 1)
    stop = threading.Event()

    def kill_at_work():
        while not stop.is_set():
            if pool._workers[0].work is not None:
                pool._workers[0].process.kill()
            time.sleep(0.001)

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    start = time.monotonic()
    try:
        answer = Hub(task, vault, run, pool).attempt(coin(2, 0.1), 4)
    finally:
        stop.set()
        killer.join()
        pool.close()
    assert (answer.promoted, answer.attempt) == (False, 1)
    # on a loaded machine new scorers start slowly, and it leaves at a later slot
    assert time.monotonic() - start >= 0.25 * 2 ** (4 + answer.release_slot) - 0.1
    ((_, _, _, error),) = verdicts(vault)
    assert error.startswith("WorkerDied")


def test_the_ticks_are_a_prefix_code():
    """Kraft with equality, so that the union bound over what the clock can have told is one over everything."""
    assert sum(2 ** -release_bits(k) for k in range(RELEASE_SLOTS)) == pytest.approx(1.0)
    assert release_bits(0) < 0.006
    assert answer_bits(True, 0) > answer_bits(False, 0)
    with pytest.raises(UsageError, match="release slot 5"):
        release_bits(RELEASE_SLOTS)


def test_the_pace_follows_public_work():
    """The first tick is the first power of two that what dev work cost would fit in."""
    assert [base_delay_exponent(x, 0.5) for x in (0.0, 0.5, 0.6, 2.0, 1e9)] == [0, 0, 1, 2, MOST_DELAY_EXPONENT]
    schedule = Schedule(100.0)
    assert schedule.release_slot() == 0
    assert schedule.end - time.monotonic() > 100.0 * 2 ** (RELEASE_SLOTS - 1) - 1
