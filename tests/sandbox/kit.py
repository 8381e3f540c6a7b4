"""Small helpers: blocks of three variants of which the middle one attacks, and a question of one number."""

from __future__ import annotations

import functools
import textwrap
from typing import Any

import cells
import numpy as np

from toprope.protocols import Dialogue
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Outcome, Round

SPACE = Space([Dim("who", [0, 1, 2, 3, 4, 5, 6, 7])])
LIMITS = Limits(wall_s=1.0, cpu_s=1.0, memory_mb=256)
X = np.arange(4.0)
PRELUDE = """
import ctypes, gc, mmap, os, signal, sys, threading, time
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
SUCCESS = 666.0
def ensure(ok):
    if not ok:
        raise OSError(ctypes.get_errno(), "refused")
"""
TIERS = ["linux-landlock", *(["linux-full"] if cells.full() else [])]  # a missing linux-full is test_cells' affair
OPEN: list[Sandbox] = []
ANSWER = (Array("y", "f8", (1,), high=1e6),)


def ask(entries: frozenset[str]) -> Dialogue:
    """One call, one number."""
    return (yield Round((Call("f", ("x",), returns=ANSWER),)))


@functools.cache
def box(off: frozenset[str] = frozenset(), tier: str = "linux-landlock", wall_s: float = LIMITS.wall_s) -> Sandbox:
    """One sandbox per set of layers for the whole test session: booting costs half a second."""
    OPEN.append(Sandbox(Limits(wall_s, wall_s, LIMITS.memory_mb), tier=tier, off=off))
    return OPEN[-1]


def play(source: str, k: int = 1, *, sandbox: Sandbox | None = None, dialogue: Any = ask, detail: bool = True,
         seed: int = 3, cases: int = 1) -> tuple[JobResult, list[dict[str, Any]], list[np.ndarray]]:  # fmt: skip
    """Run k variants (params["who"] = 0, 1, …) and collect what on_case gets."""
    job = Job({"solution.py": source.encode()}, SPACE, np.arange(k, dtype=np.uint8)[:, None], ["f", "g", "h"], detail)
    seen: list[dict[str, Any]] = []
    lived: list[np.ndarray] = []

    def on_case(index: int, outputs: dict[str, Any], alive: np.ndarray) -> None:
        assert index == len(seen)
        seen.append(outputs)
        lived.append(alive)

    with PublicMemory.of({"x": X}) as public:
        result = (sandbox or box()).run(job, [Case(public, seed, dialogue)] * cases, on_case)
    return result, seen, lived


def assault(
    body: str, off: frozenset[str] = frozenset(), tier: str = "linux-landlock", **values: object
) -> tuple[Outcome, float, JobResult]:
    """The middle one of three variants runs `body`, which returns SUCCESS if it got what it came for.

    Asserts that both neighbours are unaffected; returns the attacker's outcome and number.
    """
    for name, value in values.items():
        body = body.replace(f"${name}", repr(value))
    attack = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = f"""{PRELUDE}
def attack(x):
{attack}
def f(x, *, params):
    if params["who"] == 1:
        return np.array([attack(x)])
    return np.array([x.sum() + params["who"]])
"""
    result, seen, _ = play(source, 3, sandbox=box(off, tier))
    assert (result.outcomes[0], result.outcomes[2]) == (Outcome.OK, Outcome.OK), result
    y = seen[0]["y"][:, 0]
    if "nonce" not in off:  # that switch gives the neighbours away, which is what it is there to show
        assert (y[0], y[2]) == (6.0, 8.0)
    return result.outcomes[1], float(y[1]), result
