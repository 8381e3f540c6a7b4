"""Honest work, scored in a process of its own: prints every outcome, incident and score as JSON.

python honest.py TIER CHILDREN SLOW: so many jobs of 5 variants on 5 draws, and so many of the slow kind.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from toprope.protocols import Dialogue
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Round

LIMITS = Limits(wall_s=0.4, cpu_s=0.4, memory_mb=256)
SPACE, X = Space([Dim("who", [0, 1, 2, 3, 4])]), np.arange(4.0)
Y = (Array("y", "f8", (1,)),)
PLAIN = """
import numpy as np
def f(x, *, params, rng):
    a = rng.standard_normal((20, 5))
    return [np.linalg.lstsq(a, a @ np.arange(5.0), rcond=None)[0].sum() + params["who"] + x.sum()]
"""
RESTS = "import time\ndef f(x, *, params):\n    time.sleep(0.005)\n    return [x.sum() * params['who']]\n"
THREADS = """
import threading
def f(x, *, params):
    out = []
    threads = [threading.Thread(target=lambda i=i: out.append(sum(range(10000)) + i)) for i in range(3)]
    for t in threads: t.start()
    for t in threads: t.join()
    return [float(sum(out) + params["who"])]
"""
SLOW = """
import time
def f(state, number, *, params):
    until = time.process_time() + 0.06
    while time.process_time() < until:
        pass
    state = (state or 0.0) + number[0]
    return [state + params["who"]], state
"""


def once(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("x",), returns=Y),)))


def rounds(entries: frozenset[str]) -> Dialogue:
    """Several rounds of a case: the counter of the last one still stands when the next is asked."""
    call = Call("f", ("state", "number"), returns=Y, keep="state")
    answer = yield Round((call,), {"number": np.ones(1)})
    for i in range(3):
        answer = yield Round((call,), {"number": np.full(1, i + 2.0)})
    return answer


def play(sandbox: Sandbox, source: str, k: int, draws: int, dialogue: Any) -> dict[str, Any]:
    job = Job({"solution.py": source.encode()}, SPACE, np.arange(k, dtype=np.uint8)[:, None], ["f"], True)
    scores: list[list[float]] = []
    with PublicMemory.of({"x": X}) as public:
        cases = [Case(public, seed, dialogue) for seed in range(draws)]
        result: JobResult = sandbox.run(job, cases, lambda i, o, _: scores.append(o["y"][:, 0].tolist()))
    said = {v: [i.evidence for i in seen] for v, seen in result.incidents.items()}
    return {"outcomes": result.outcomes, "messages": result.messages, "incidents": said, "scores": scores}


def main() -> None:
    tier, children, slow = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Sandbox(LIMITS, tier=tier) as sandbox:
        every = max(1, children // max(1, slow))
        for i in range(children):
            print(json.dumps(play(sandbox, (PLAIN, RESTS, THREADS)[i % 3], 5, 5, once)), flush=True)
            if slow and i % every == 0:
                print(json.dumps(play(sandbox, SLOW, 2, 2, rounds)), flush=True)


main()
