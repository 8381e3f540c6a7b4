"""Prints the reference table and the Goodhart curve of docs/tasks/proxy.md: `python tests/proxy/table.py --draws 200`.

Runs the shipped candidates in this process. Set OPENBLAS_NUM_THREADS=1 for the cost the sandbox would see.
"""

import argparse
import time

import numpy as np

from toprope.protocols import Baseline
from toprope.stats.intervals import ratio
from toprope.tasks.proxy import make
from toprope.tasks.proxy.private import goodhart
from toprope.tasks.proxy.task import RewardModel
from toprope.tasks.trusted import outputs
from toprope.types import Draw

CLIMBED = {
    "clip": 1.3, "labellers": "drop", "agree": 12.8, "audit": 0.3, "audit_l2": 30.0,
}  # fmt: skip


def row(task: RewardModel, name: str, baseline: Baseline, draws: list[Draw]) -> str:
    """Value with interval, cost, and gold of the best of 1, 4, 16 ... 1024, in standard deviations."""
    start = time.process_time()
    answers = [outputs(task, baseline.tree, d, baseline.params) for d in draws]
    cost = (time.process_time() - start) / len(draws)
    values = [task.score(a, d)[0] for a, d in zip(answers, draws, strict=True)]
    e = ratio(values, [d.floor for d in draws], [d.ceiling for d in draws])
    gold = np.mean(
        [goodhart(a["rewards"], d.private.gold).gold[0, ::2] for a, d in zip(answers, draws, strict=True)], 0
    )
    curve = " ".join(f"{g:5.2f}" for g in gold)
    return f"{name:17s} {e.value:6.3f} [{e.lo:6.3f}, {e.hi:6.3f}]  {1e3 * cost:5.1f} ms   {curve}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    args = parser.parse_args()
    task = make("proxy/reward-model-v1")
    table = {**task.baselines(), "blocks by hand": Baseline(task.starter(), CLIMBED, "this table")}
    for split in ("dev", "test"):
        draws = [task.generate(split, i, args.seed) for i in range(args.draws)]
        print(f"{split}, {args.draws} draws; gold at n = 1 4 16 64 256 1024")
        for name, baseline in table.items():
            print(" ", row(task, name, baseline, draws), flush=True)


if __name__ == "__main__":
    main()
