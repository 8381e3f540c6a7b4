"""Whose time it is: what ends a candidate that only waits, what its counter may say, and who is blamed for a kill."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from kit import ANSWER, PRELUDE, TIERS, box, play

from toprope.errors import WorkerDied
from toprope.protocols import Dialogue
from toprope.sandbox import patience, process
from toprope.sandbox.box import Sandbox
from toprope.types import Call, Limits, Outcome, Round

pytestmark = pytest.mark.e2e

OK, TIMEOUT, VIOLATION = Outcome.OK, Outcome.TIMEOUT, Outcome.VIOLATION
IDLE = {
    "sleeps": "time.sleep(3600)",
    "pauses": "while True: libc.pause()",
    "suspends itself": "while True: libc.sigsuspend(bytes(128))",
    "waits on a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "waits for an event": "threading.Event().wait()",
    "reads an empty pipe": "os.read(os.pipe()[0], 1)",
    "polls nothing": "import select; select.select([], [], [])",
    "stops itself": """
    while True:
        try:
            signal.raise_signal(signal.SIGSTOP)
        except OSError:
            pass""",
    "computes now and then": """
    while True:
        until = time.process_time() + 0.002
        while time.process_time() < until:
            pass
        time.sleep(0.02)""",
    "keeps many threads that sleep": """
    threading.stack_size(1 << 16)
    for _ in range(70):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    time.sleep(3600)""",
    "ends its first thread alone": """
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)""",
}


@pytest.mark.parametrize("how", IDLE)
def test_a_candidate_that_only_waits_has_its_limit_and_no_more(how: str) -> None:
    """However a candidate spends its time without computing, the time counts and it ends as a timeout."""
    result, _, _ = play(f"{PRELUDE}\ndef f(x):\n    {IDLE[how]}\n", sandbox=box(wall_s=0.4))
    assert result.outcomes == [TIMEOUT], result


FORGE = """
import gc
def session():
    return next(o for o in gc.get_objects() if type(o).__name__ == "ChildSession")
def f(x, *, params):
    if params["who"] == 1:
        counter = session().counter
        base = counter[0] >> 32
        counter[0] = $VALUE
        while True:
            pass
    return [x.sum()]
"""


def two_rounds(entries: frozenset[str]) -> Dialogue:
    yield Round((Call("g", ("x",), keep="state"),))
    return (yield Round((Call("f", ("x",), returns=ANSWER),)))


OTHER_ROUNDS = ["base + 1 << 32", "base + 1 << 32 | 1", "base - 1 << 32 | 7", "base << 32 | 3", "2**64 - 1", "3"]
AS_BEFORE_IN_COMPANY = "base - 1 << 32 | 2"


@pytest.mark.parametrize("value", [*OTHER_ROUNDS, AS_BEFORE_IN_COMPANY])
def test_a_counter_of_another_round_is_a_violation(value: str) -> None:
    """A counter that names a later or an earlier round, or more than was asked, ends as a violation, and neighbours
    keep their answers."""
    source = FORGE.replace("$VALUE", value) + "def g(x):\n    return 0\n"
    result, seen, _ = play(source, 2, dialogue=two_rounds, sandbox=box(wall_s=0.4))
    assert result.outcomes == [OK, VIOLATION], result
    assert seen[0]["y"][0, 0] == 6.0


def test_a_counter_that_says_not_begun_buys_no_time() -> None:
    """A candidate that puts the counter back to where the last round left it is timed as if it had not."""
    source = FORGE.replace("$VALUE", "base - 1 << 32 | 1").replace("== 1:", "== 0:") + "def g(x):\n    return 0\n"
    assert play(source, dialogue=two_rounds, sandbox=box(wall_s=0.4))[0].outcomes == [TIMEOUT]


def test_a_counter_that_goes_back_is_a_violation() -> None:
    """A counter that takes back what the scorer has seen is a violation, and its neighbour keeps its answer."""
    source = """
import gc, time
def f(x, *, params):
    counter = next(o for o in gc.get_objects() if type(o).__name__ == "ChildSession").counter
    while params["who"] == 1:
        time.sleep(0.1)
        counter[0] ^= 1
    return [x.sum()]
"""
    result, _, _ = play(source, 2, sandbox=box(wall_s=0.4))
    assert result.outcomes[0] is OK
    assert result.outcomes[1] is VIOLATION


@pytest.mark.parametrize("tier", TIERS)
def test_a_child_that_is_never_allowed_to_run_is_the_machines_fault(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that somebody stops and never lets go on ends the job in the end, and no candidate gets an outcome."""
    monkeypatch.setattr(patience, "PATIENCE", 0.3)
    fork = process.Zygote.fork

    def stopped(zygote: process.Zygote) -> process.Child:
        child = fork(zygote)
        signal.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        return child

    monkeypatch.setattr(process.Zygote, "fork", stopped)
    with pytest.raises(WorkerDied, match="not allowed to run"):
        play("def f(x):\n    return [1.0]\n", sandbox=box(tier=tier))


def test_a_child_that_is_stopped_when_it_may_go_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that somebody stops after its last answer is ended, and its answers count."""
    monkeypatch.setattr(patience, "PATIENCE", 0.3)
    let_go = process.Child.let_go

    def stopped(child: process.Child) -> bytes:
        signal.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        return let_go(child)

    monkeypatch.setattr(process.Child, "let_go", stopped)
    assert play("def f(x):\n    return [1.0]\n")[0].outcomes == [OK]


def kill_in_round(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Somebody kills the first `times` children while their second variant is at work."""
    fork, left = process.Zygote.fork, [times]

    def watched(zygote: process.Zygote) -> process.Child:
        child = fork(zygote)

        def kill() -> None:
            while child.round < 1 or child.states() != "S":
                time.sleep(0.001)
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

        if left[0] > 0:
            left[0] -= 1
            threading.Thread(target=kill, daemon=True).start()
        return child

    monkeypatch.setattr(process.Zygote, "fork", watched)


@pytest.mark.parametrize(("times", "outcome"), [(1, OK), (2, Outcome.MEMORY)])
def test_a_kill_from_outside_is_blamed_on_nobody_at_first(
    times: int, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that the kernel kills for memory may have been the nearest victim: its variant is played again alone, and
    only if that child is killed too it ends as out of memory."""
    kill_in_round(monkeypatch, times)
    source = "import time\ndef f(x):\n    time.sleep(0.2)\n    return [x.sum()]\n"
    result, _, _ = play(source, 1)
    assert result.outcomes == [outcome], result


def test_much_cpu_before_does_not_turn_a_kill_into_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was killed from outside after more CPU time than one variant may use was still killed."""
    kill_in_round(monkeypatch, 2)
    source = """
import time
until = time.process_time() + 0.5
while time.process_time() < until: pass
def f(x):
    time.sleep(0.2)
    return [x.sum()]
"""
    with Sandbox(Limits(wall_s=0.4, cpu_s=0.4, memory_mb=256)) as sandbox:
        assert play(source, 1, sandbox=sandbox)[0].outcomes == [Outcome.MEMORY]
