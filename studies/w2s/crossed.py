"""From dev to hidden, what is lost by other cells and what by other weights (docs/measurements/w2s.md).

PGR ± standard error over draws of vanilla, of two tuned baselines and of a champion, on each side's cells with each
side's weights. In this process, without a sandbox.
"""

from __future__ import annotations

import json
from pathlib import Path

from studies.w2s.simulated import SEED, accuracies, simulate
from toprope.stats.intervals import ratio
from toprope_tasks.w2s.task import DEMO, VISIBLE, WeakToStrong

SHOWN = ("vanilla", "logconf + L2 (tuned)", "label propagation + match (tuned)")
CHAMPION = Path("docs/tasks/w2s-champion.json")


def main(*, draws: int = 96, seed: int = SEED, champion: Path = CHAMPION) -> None:
    task = WeakToStrong("w2s/probe-v1", DEMO)
    columns = {
        "visible cells and weights": [task.generate("dev", i, seed) for i in range(draws)],
        "visible cells, demo weights": list(simulate("visible", [DEMO], draws, seed)),
        "hidden cells, visible weights": list(simulate("hidden", VISIBLE, draws, seed)),
        "hidden cells, demo weights": [task.generate("measure", i, seed) for i in range(draws)],
    }
    baselines = task.baselines()
    rows = {name: baselines[name].params for name in SHOWN} | {"climbed": json.loads(champion.read_text())}
    print("| method | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|")
    for name, params in rows.items():
        cells = []
        for some in columns.values():
            floors, ceilings = [d.floor for d in some], [d.ceiling for d in some]
            e = ratio(accuracies(task, some, params), floors, ceilings, method="delta")
            cells.append(f"{e.value:.3f} ± {e.se:.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
