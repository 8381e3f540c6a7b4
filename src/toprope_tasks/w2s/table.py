"""The reference table: every baseline on fresh draws of each tier. `python -m toprope_tasks.w2s.table --draws 96`.

PGR = ratio of sums +- standard error (delta method over draws); `- vanilla` is the mean paired difference in
accuracy on the first column. Two more columns cross cells and weights, to see which of them costs the hidden side its
points: `visible-on-demo` and `hidden-on-visible`.
Extra rows: `--params NAME=FILE.json` adds any point of the grammar, a climb's champion say.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from toprope.errors import UsageError
from toprope.types import Draw, Json, Split
from toprope_tasks.w2s.baselines import METHODS, tuned
from toprope_tasks.w2s.task import DEMO, VISIBLE, WeakToStrong
from toprope_tasks.w2s.trial import accuracies, pgr, simulate

SEED = 20261123
COLUMNS: dict[str, tuple[str, Split]] = {
    "visible": ("w2s/probe-v1", "dev"),
    "hidden": ("w2s/probe-v1", "measure"),
    "hard": ("w2s/probe-hard-v1", "measure"),
    "runs": ("w2s/probe-runs-v1", "measure"),
}
CROSSED = {"visible-on-demo": ("visible", [DEMO]), "hidden-on-visible": ("hidden", VISIBLE)}


def draws(column: str, count: int, seed: int = SEED) -> list[Draw]:
    """Fresh draws of a tier and side, or of one side's cells on the other's weights."""
    if column in CROSSED:
        side, weights = CROSSED[column]
        return list(simulate(side, weights, count, seed))
    task_id, split = COLUMNS[column]
    task = WeakToStrong(task_id)
    return [task.generate(split, i, seed) for i in range(count)]


def rows(extra: Mapping[str, dict[str, Json]]) -> dict[str, dict[str, Json]]:
    """name -> params, tuned variants beside their defaults."""
    chosen, found = tuned(), {}
    for name, method in METHODS.items():
        found[name] = method.params
        if name in chosen:
            found[f"{name} (tuned)"] = chosen[name]
    return {**found, **extra}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=96)
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, other draws")
    parser.add_argument("--columns", default=",".join(COLUMNS))
    parser.add_argument("--against", default="vanilla", metavar="NAME", help="row the paired difference is taken to")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a row; the others are left out")
    parser.add_argument("--params", action="append", default=[], metavar="NAME=FILE")
    args = parser.parse_args()
    extra = {name: json.loads(Path(path).read_text()) for name, path in (p.split("=", 1) for p in args.params)}
    columns = {name: draws(name, args.draws, args.seed) for name in args.columns.split(",")}
    for name, some in columns.items():
        floor, ceiling = np.mean([d.floor for d in some]), np.mean([d.ceiling for d in some])
        print(f"{name}: {len(some)} draws, weak {floor:.3f}, ceiling {ceiling:.3f}, gap {ceiling - floor:.3f}")
    every = rows(extra)
    if args.against not in every:
        raise UsageError(f"--against {args.against!r} is no row; rows are {', '.join(every)}")
    print("\n| method | " + " | ".join([*columns, f"- {args.against}", "CPU ms"]) + " |")
    print("|---" * (len(columns) + 3) + "|")
    base = accuracies(next(iter(columns.values())), every[args.against])
    for name, params in ((n, p) for n, p in every.items() if not args.only or n in args.only):
        print(_line(name, params, columns, base), flush=True)


def _line(name: str, params: dict[str, Json], columns: dict[str, list[Draw]], base: np.ndarray) -> str:
    start = time.process_time()
    scores = {column: accuracies(some, params) for column, some in columns.items()}
    spent = 1000 * (time.process_time() - start) / sum(map(len, columns.values()))
    cells = ["{:.3f} ± {:.3f}".format(*pgr(scores[column], some)) for column, some in columns.items()]
    gain = next(iter(scores.values())) - base
    paired = f"{gain.mean():+.4f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}"
    return f"| {name} | {' | '.join(cells)} | {paired} | {spent:.1f} |"


if __name__ == "__main__":
    main()
