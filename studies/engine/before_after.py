"""How many experiments a CPU second buys, in two checkouts of toprope, in turns, in climbs of the default climber.

    python -m studies engine/before_after ../old --experiments 600 --tasks w2s/bank-v1 --tasks proxy/reward-model-v1

Each checkout has a .venv of its own. CPU seconds are those of all processes of a climb, from which those of a climb of
one experiment are taken, so that starting up cancels; attempts at the gate are in them. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Cost(NamedTuple):
    """Of one climb. cpu_s, wall_s: of all its processes."""

    cpu_s: float
    wall_s: float


def main(
    before: Path,
    tasks: tuple[str, ...] = ("w2s/bank-v1",),
    experiments: int = 600,
    repeats: int = 1,
    workers: int = 1,
) -> None:
    """before: the checkout to compare with. experiments: of each climb. repeats: climbs of each kind; the median
    counts."""
    print("| task | ms CPU before | ms CPU now | ratio | experiments per CPU second now | wall |\n" + "|---" * 6 + "|")
    for task in tasks:
        costs: dict[Path, list[float]] = {before: [], ROOT: []}
        wall: dict[Path, list[float]] = {before: [], ROOT: []}
        for _ in range(repeats):
            for checkout in costs:
                one, many = (climb(checkout, task, n, workers) for n in (1, experiments))
                costs[checkout].append((many.cpu_s - one.cpu_s) / (experiments - 1))
                wall[checkout].append(many.wall_s)
        old, new = (median(costs[c]) for c in (before, ROOT))
        print(
            f"| `{task}` | {1e3 * old:.1f} | {1e3 * new:.1f} | {old / new:.1f} | {1 / new:.1f} "
            f"| {median(wall[before]):.0f} s, {median(wall[ROOT]):.0f} s |",
            flush=True,
        )


def climb(checkout: Path, task: str, experiments: int, workers: int) -> Cost:
    """One climb with the toprope of a checkout, in a vault of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(checkout / ".venv/bin/toprope"), "climb", task, "--experiments", str(experiments), "--json"]
        command += ["--workers", str(workers), "--rehearsal-secret", "bench", "--run", f"{folder}/run"]
        spent, start = os.times(), time.monotonic()
        environment = {**os.environ, "TOPROPE_VAULT": f"{folder}/vault"}
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder)
        now = os.times()
        cpu = now.children_user + now.children_system - spent.children_user - spent.children_system
        return Cost(cpu, time.monotonic() - start)
