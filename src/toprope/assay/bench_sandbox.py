"""The cost of the sandbox: a fresh candidate relative to a bare fork, a no-op in a block, overhead on real work.

Ratios are of medians, with the two sides measured in turns, so that a busy machine slows both. CPU is given besides
wall time, because wall time misleads on shared machines. CPU counts child, zygote and scorer.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Dialogue, Outputs
from toprope.sandbox.box import TIERS, Case, Job, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Round

SPACE = Space([Dim("a", [0.0, 1.0])])
NOOP = b"import numpy as np\ny = np.zeros(1)\ndef f(x):\n    return y\n"
WORK = b"""
import time
import numpy as np
def f(x):
    end = time.process_time() + 0.2
    while time.process_time() < end:
        x @ x
    return [time.process_time() - end + 0.2]
"""


def fresh(sandbox: Sandbox, repeats: int = 100) -> dict[str, float]:
    """A block of one new candidate, and a bare fork and exit of the same zygote (ms, median wall and CPU)."""
    forks, runs = [], []
    for i in range(repeats):
        forks.append(_measure(lambda: _fork_cpu(sandbox)))
        source = NOOP + b"# %d\n" % i
        runs.append(_measure(functools.partial(_cpu, sandbox, source)))
    wall_fork, cpu_fork = (1e3 * median(column) for column in zip(*forks, strict=True))
    wall_run, cpu_run = (1e3 * median(column) for column in zip(*runs, strict=True))
    return {
        "bare_fork_wall_ms": wall_fork,
        "bare_fork_cpu_ms": cpu_fork,
        "fresh_wall_ms": wall_run,
        "fresh_cpu_ms": cpu_run,
        "wall_ratio": wall_run / wall_fork,
        "cpu_ratio": cpu_run / cpu_fork,
    }


def noop_block(sandbox: Sandbox, variants: int = 5000, repeats: int = 7) -> dict[str, float]:
    """CPU per variant (µs, median) of a block whose function returns an array at once; each frame holds its nonce."""
    costs = [_measure(lambda: _play(sandbox, NOOP, variants)[0]) for _ in range(repeats)]
    wall, cpu = (1e6 * median(column) / variants for column in zip(*costs, strict=True))
    return {"variants": variants, "wall_us": wall, "cpu_us": cpu}


def overhead(sandbox: Sandbox, repeats: int = 5) -> dict[str, float]:
    """Fraction of CPU that is not the candidate's own in a fresh child with 200 ms of work."""
    fractions = []
    for _ in range(repeats):
        (wall, cpu), work = _worked(sandbox)
        fractions.append(cpu / work - 1)
    return {"work_s": work, "wall_s": wall, "overhead": median(fractions)}


def side_by_side(repeats: int = 9) -> dict[str, float]:
    """The cost of namespaces: start of a zygote (ms, median wall) and a fresh candidate in it (ms, median CPU)."""
    starts: list[list[float]] = [[], []]
    costs: list[list[float]] = [[], []]
    for _ in range(repeats):
        with contextlib.ExitStack() as stack:
            boxes = []
            for taken, tier in zip(starts, TIERS, strict=True):
                began = time.perf_counter()
                boxes.append(stack.enter_context(Sandbox(Limits(wall_s=10.0), tier=tier)))
                taken.append(time.perf_counter() - began)
                _play(boxes[-1], NOOP, 1)
            for i in range(10):
                for taken, box in zip(costs, boxes, strict=True):
                    source = NOOP + b"# %d\n" % i
                    taken.append(_measure(functools.partial(_cpu, box, source))[1])
    figures: dict[str, float] = {}
    for what, both in (("start", starts), ("fresh", costs)):
        full, landlock = (1e3 * median(taken) for taken in both)
        figures |= {f"{what}_full_ms": full, f"{what}_landlock_ms": landlock, f"{what}_ratio": full / landlock}
    return figures


def bench(tier: str) -> dict[str, Any]:
    """All three figures on this machine, and the protection under which they were measured."""
    with Sandbox(Limits(wall_s=10.0), tier=tier) as sandbox:
        _play(sandbox, NOOP, 1)
        return {
            "fresh": fresh(sandbox),
            "noop_block": noop_block(sandbox),
            "overhead": overhead(sandbox),
            "protection": sandbox.protection,
        }


def _measure(act: Callable[[], float]) -> tuple[float, float]:
    """(wall, CPU) seconds of act, which returns the CPU seconds of other processes."""
    wall, cpu = time.perf_counter(), time.process_time()
    others = act()
    return time.perf_counter() - wall, time.process_time() - cpu + others


def _fork_cpu(sandbox: Sandbox) -> float:
    ended = sandbox.bare_fork()
    return ended.child_s + ended.zygote_s


def _worked(sandbox: Sandbox) -> tuple[tuple[float, float], float]:
    answer: list[float] = []

    def act() -> float:
        cpu, y = _play(sandbox, WORK, 1)
        answer.append(float(y[0, 0]))
        return cpu

    return _measure(act), answer[0]


def _cpu(sandbox: Sandbox, source: bytes) -> float:
    return _play(sandbox, source, 1)[0]


def _play(sandbox: Sandbox, source: bytes, k: int) -> tuple[float, NDArray[np.float64]]:
    """CPU seconds of child and zygote, and the variants' answers."""
    answers: list[NDArray[np.float64]] = []

    def on_case(_: int, outputs: Outputs, alive: NDArray[np.bool_]) -> None:
        answers.append(outputs["y"])

    job = Job({"solution.py": source}, SPACE, np.zeros((k, 1), np.uint8), ["f"])
    result = sandbox.run(job, [Case(_public(), 0, _ask)], on_case)
    return result.cpu_s, answers[0]


@functools.cache
def _public() -> PublicMemory:
    """Made once, as a scorer makes it once per draw for all candidates."""
    return PublicMemory.of({"x": np.ones((64, 64))})


def _ask(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (1,)),)),)))
