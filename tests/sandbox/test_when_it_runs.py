"""What a child can learn of when it runs, beside the clock: as little as the walls can deny."""

from __future__ import annotations

import os

import numpy as np
import pytest
from kit import PRELUDE, SPACE, TIERS, box

from toprope.protocols import Dialogue
from toprope.sandbox.box import Case, Job
from toprope.sandbox.memory import PublicMemory
from toprope.types import Array, Call, Outcome, Round

pytestmark = pytest.mark.e2e

TELLS = {
    "its process number": "os.getpid()",
    "its parent's": "os.getppid()",
    "its thread's": "threading.get_native_id()",
    "its number by another call": "libc.syscall(218 if os.uname().machine == 'x86_64' else 96, 0)",
    "how long the machine is up, and its load": "ensure(libc.sysinfo(bytes(256)) == 0) or 1",
    "ticks since the machine started": "os.times().elapsed",
    "how much the scorer has computed": "time.clock_gettime((~SCORER << 3) | 2)",
    "that the scorer exists": "time.clock_getres((~SCORER << 3) | 2)",
    "what CPUs the scorer may use": "len(os.sched_getaffinity(SCORER))",
}
IN_NAMESPACES = {"its parent's", "how much the scorer has computed", "that the scorer exists"}
IN_NAMESPACES |= {"what CPUs the scorer may use"}  # the scorer is nobody in there
SOURCE = f"""{PRELUDE}
def f(numbers):
    global SCORER
    SCORER = int(numbers[0])
    try:
        return [float($TELL)]
    except OSError:
        return [0.0]
"""


def told(tell: str, tier: str, off: frozenset[str] = frozenset()) -> float:
    def dialogue(entries: frozenset[str]) -> Dialogue:
        return (yield Round((Call("f", ("numbers",), returns=(Array("y", "f8", (1,)),)),)))

    seen: list[float] = []
    with PublicMemory.of({"numbers": np.array([os.getpid()])}) as public:
        job = Job(
            {"solution.py": SOURCE.replace("$TELL", tell).encode()}, SPACE, np.zeros((1, 1), np.uint8), ["f"], True
        )
        result = box(off, tier).run(job, [Case(public, 0, dialogue)], lambda i, o, a: seen.append(o["y"][0, 0]))
    assert result.outcomes == [Outcome.OK], result
    return seen[0]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("what", TELLS)
def test_a_child_does_not_learn(what: str, tier: str) -> None:
    """Process numbers, which count the children before it, uptime, load and other processes' CPU time are kept from a
    candidate: a look finds nothing, and without the filter the same look finds something."""
    assert told(TELLS[what], tier) == 0.0
    if not (tier == "linux-full" and what in IN_NAMESPACES):
        assert told(TELLS[what], tier, frozenset({"seccomp"})) > 0.0


@pytest.mark.parametrize("tier", TIERS)
def test_its_own_clocks_go_on(tier: str) -> None:
    """An honest candidate can measure itself, wait and start threads as before."""
    own = "time.process_time() + time.thread_time() + time.monotonic() + time.get_clock_info('time').resolution"
    assert told(own, tier) > 0.0
    assert told("len(os.sched_getaffinity(0)) + (time.sleep(0.001) or 0)", tier) > 0.0
