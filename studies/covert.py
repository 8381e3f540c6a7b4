"""What a workspace can still learn of hidden work through the machine that both share (docs/threat-model.md).

A candidate on a hidden draw sends one bit, by thrashing memory for most of a second or by sleeping as long. The
workspace measures three things: its own speed while the bit is sent, the time of its first walks through buffers of
several sizes afterwards, and the free space of its disk. It knows when the bit is sent. The figure is the mutual
information between the bit and the best threshold on half of the trials, measured on the other half, less that of
shuffled bits: about 0 if the workspace learns nothing, 1 if it learns every bit.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Literal

import numpy as np

from toprope.protocols import Dialogue
from toprope.researchers.workspace import Workspace
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Round

SECONDS = 0.8
SENDS = f"""
import time
import numpy as np

def f(x, *, params):
    end = time.monotonic() + {SECONDS}
    if params["bit"]:
        a = np.ones(1 << 22)
        while time.monotonic() < end:
            a[::7] += 1.0
    else:
        time.sleep({SECONDS})
    return np.zeros(1)
"""
LISTENS = """
import os, sys, time
import numpy as np

small, large = np.ones(1 << 15), np.ones(1 << 21)

def walk(a, stride=8):
    began = time.perf_counter()
    float(a[::stride].sum())
    return time.perf_counter() - began

for a in (small, large):
    walk(a)
start, steps, last = time.monotonic(), 0, time.monotonic()
while True:
    walk(large)
    steps, now = steps + 1, time.monotonic()
    stood_still, told = now - last > 0.5, os.path.exists("stop")
    if stood_still or told:
        first = [walk(small), walk(large), walk(large)]
        print("heard", steps / (last - start), *first, os.statvfs(".").f_bfree, flush=True)
        sys.exit()
    last = now
"""


def ask(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (1,)),)),)))


def trial(workspace: Workspace, box: Sandbox, bit: int, frozen: bool) -> list[float]:
    """What the workspace measured: steps while the bit was sent, three walks after it, free blocks."""
    (workspace.folder / "stop").unlink(missing_ok=True)
    heard: list[bytes] = []
    listener = threading.Thread(
        target=lambda: heard.append(workspace.run(["python3", "listens.py"], timeout_s=30).stdout)
    )
    listener.start()
    while workspace._first is None:
        time.sleep(0.01)
    time.sleep(0.6)  # Python and NumPy are loaded
    space = Space([Dim("bit", [0, 1])])
    job = Job({"solution.py": SENDS.encode()}, space, np.array([[bit]], np.uint8), ["f"])

    def send() -> None:
        with PublicMemory.of({"x": np.zeros(1)}) as public:
            box.run(job, [Case(public, 1, ask)], lambda *_: None)

    if frozen:
        with workspace.still():
            send()
    else:
        send()
        (workspace.folder / "stop").touch()
    listener.join()
    return [float(x) for x in heard[0].decode().split("heard")[1].split()]


def information(values: np.ndarray, bits: np.ndarray, rng: np.random.Generator) -> float:
    """Bits, by a threshold chosen on one half and judged on the other, both ways."""

    def judged(bits: np.ndarray) -> float:
        half = rng.permutation(len(bits))
        found = []
        for own, other in ((half[::2], half[1::2]), (half[1::2], half[::2])):
            cuts = np.quantile(values[own], np.linspace(0.02, 0.98, 49))
            best = max(cuts, key=lambda c: abs(np.mean((values[own] > c) == bits[own]) - 0.5))
            found.append(_mutual(values[other] > best, bits[other]))
        return float(np.mean(found))

    return judged(bits) - float(np.mean([judged(rng.permutation(bits)) for _ in range(50)]))


def _mutual(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for x in (0, 1):
        for y in (0, 1):
            p = np.mean((a == x) & (b == y))
            if p > 0:
                total += p * np.log2(p / (np.mean(a == x) * np.mean(b == y)))
    return float(total)


def main(*, trials: int = 200, tier: Literal["linux-full", "linux-landlock"] = "linux-full") -> None:
    rng, names = np.random.default_rng(0), ["speed meanwhile", "first walk, 256 KiB", "16 MiB", "16 MiB again", "disk"]
    with tempfile.TemporaryDirectory() as folder, Sandbox(Limits(), tier=tier, private=True) as box:
        workspace = Workspace(Path(folder) / "room")
        workspace.write("listens.py", LISTENS.encode())
        for frozen in (True, False):
            bits = rng.permutation(np.arange(trials) % 2)
            heard = np.array([trial(workspace, box, int(b), frozen) for b in bits])
            said = {n: round(information(heard[:, i], bits, rng), 3) for i, n in enumerate(names)}
            print(json.dumps({"room": "stands still" if frozen else "runs on", "trials": len(bits), "bits": said}))
