"""What makes hidden draws harder than dev: each thing that only they have, put into dev's worlds alone.

    python -m toprope_tasks.monitorability.harder [--draws 200] [--seed 2026] [--add NAME=FILE.json]

Operator only. Value of the starter, of the tuned baselines and of points that are added, on dev worlds, on dev worlds
with one part of the hidden range, and on worlds with the whole of it, with standard errors over draws. The same seeds
make all of them; worlds that differ in leak or drift alone are otherwise the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from toprope.types import Draw, Json, Tree
from toprope_tasks.monitorability import make
from toprope_tasks.monitorability.private import generate, score
from toprope_tasks.monitorability.table import answers
from toprope_tasks.monitorability.world import HIDDEN, VISIBLE, Range

PARTS: dict[str, Range] = {
    "dev": VISIBLE,
    "scratchpads": VISIBLE._replace(shapes=HIDDEN.shapes),
    "pressures": VISIBLE._replace(clauses=HIDDEN.clauses, most=HIDDEN.most, narrow=HIDDEN.narrow),
    "leak": VISIBLE._replace(leak=HIDDEN.leak),
    "drift": VISIBLE._replace(drift=HIDDEN.drift),
    "all of them": HIDDEN,
}


def value(tree: Tree, params: dict[str, Json], draws: list[Draw]) -> tuple[float, float]:
    """sum(score - floor) / sum(ceiling - floor) and its standard error."""
    gained = np.array([float(score(*answers(tree, params, d), d.private)[0]) - d.floor for d in draws])
    span = np.array([d.ceiling - d.floor for d in draws])
    mean = gained.sum() / span.sum()
    return float(mean), float((gained - mean * span).std(ddof=1) / np.sqrt(len(draws)) / span.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--add", action="append", default=[], metavar="NAME=FILE", help="a point of the space to add")
    args = parser.parse_args()
    task = make("monitorability/scratchpad-v1")
    found: dict[str, tuple[Tree, dict[str, Json]]] = {"starter": (task.starter(), {})}
    found |= {name: (b.tree, b.params) for name, b in task.baselines().items() if b.tuned}
    added = dict(a.split("=", 1) for a in args.add)
    found |= {name: (task.starter(), json.loads(Path(path).read_text())) for name, path in added.items()}
    print("| candidate | " + " | ".join(PARTS) + " |\n" + "|---" * (1 + len(PARTS)) + "|")
    worlds = [[generate("dev", i, args.seed, scope) for i in range(args.draws)] for scope in PARTS.values()]
    for name, (tree, params) in found.items():
        cells = ["{:.3f} ± {:.3f}".format(*value(tree, params, draws)) for draws in worlds]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
