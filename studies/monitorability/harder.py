"""What makes hidden draws harder than dev, one thing at a time (docs/tasks/monitorability.md).

Value of the starter, of the tuned baselines and of points that are added (--add NAME=FILE), on dev worlds, on dev
worlds with one part of the hidden range, and on worlds with the whole of it, with standard errors over draws. The same
seeds make all of them; worlds that differ in leak or drift alone are otherwise the same.
"""

from __future__ import annotations

from studies.monitorability.table import answers
from toprope.assay.reference import added
from toprope.stats.intervals import Estimate, ratio
from toprope.types import Draw, Json, Tree
from toprope_tasks.monitorability import make
from toprope_tasks.monitorability.private import generate, score
from toprope_tasks.monitorability.world import HIDDEN, VISIBLE, Range

PARTS: dict[str, Range] = {
    "dev": VISIBLE,
    "scratchpads": VISIBLE._replace(shapes=HIDDEN.shapes),
    "pressures": VISIBLE._replace(clauses=HIDDEN.clauses, most=HIDDEN.most, narrow=HIDDEN.narrow),
    "leak": VISIBLE._replace(leak=HIDDEN.leak),
    "drift": VISIBLE._replace(drift=HIDDEN.drift),
    "all of them": HIDDEN,
}


def value(tree: Tree, params: dict[str, Json], draws: list[Draw]) -> Estimate:
    scores = [float(score(*answers(tree, params, d), d.private)[0]) for d in draws]
    return ratio(scores, [d.floor for d in draws], [d.ceiling for d in draws], method="delta")


def main(*, draws: int = 200, seed: int = 2026, add: tuple[str, ...] = ()) -> None:
    task = make("monitorability/scratchpad-v1")
    found: dict[str, tuple[Tree, dict[str, Json]]] = {"starter": (task.starter(), {})}
    found |= {name: (b.tree, b.params) for name, b in task.baselines().items() if b.tuned}
    found |= {name: (task.starter(), params) for name, params in added(add).items()}
    print("| candidate | " + " | ".join(PARTS) + " |\n" + "|---" * (1 + len(PARTS)) + "|")
    worlds = [[generate("dev", i, seed, scope) for i in range(draws)] for scope in PARTS.values()]
    for name, (tree, params) in found.items():
        cells = ["{0.value:.3f} ± {0.se:.3f}".format(value(tree, params, some)) for some in worlds]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
