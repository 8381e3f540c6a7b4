"""Climbs every task once with a fixed seed and secret, and compares with what the code of 2026-11-28 found.

A change that should alter no result is measured by this: champion, values, baselines, outcomes and attempts of every
task have to be the recorded ones (`studies/rehearsals.json`). docs/measurements/rehearsals.md holds the table. It takes
about 20 minutes on two quiet cores; --tasks names some of them. Exits 1 if anything differs. --record writes the file
anew, after a change that is meant to alter results.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import toprope

RECORDED = Path(__file__).with_suffix(".json")
SEED, SECRET, EXPERIMENTS = 1, "move", 150
KEPT = ("promotions", "attempts", "baselines", "outcomes", "incidents", "experiments")


def figures(task: str, folder: Path) -> dict[str, Any]:
    """What a rehearsal finds that does not depend on time, workers or the machine's other work."""
    run = folder / task.replace("/", "-")
    budget: dict[str, Any] = {"experiments": EXPERIMENTS, "seed": SEED, "rehearsal_secret": SECRET}
    found = toprope.summary(toprope.climb(task, run=run, vault=folder / "vault", unseal=True, **budget))
    kept = {name: found[name] for name in KEPT}
    champion = found["champion"]
    test = {name: value for name, value in found["test"].items() if name != "openings"}
    return {
        "champion": champion["candidate"],
        "dev": champion["dev"],
        "measured": champion["measured"],
        "test": test,
        **kept,
    }


def main(*, tasks: tuple[str, ...] = (), record: bool = False) -> int:
    recorded = json.loads(RECORDED.read_text())
    differs = 0
    print("| task | champion | dev | measured | sealed test | promoted | as recorded |\n|---|---|---|---|---|---|---|")
    for task in tasks or tuple(recorded):
        with tempfile.TemporaryDirectory(prefix="toprope-rehearsal-") as folder:
            now = figures(task, Path(folder))
        then = recorded.get(task, {})
        changed = [name for name in now if now[name] != then.get(name)]
        differs += bool(changed)
        measured = "-" if now["measured"] is None else now["measured"]["value"]
        promoted = f"{now['promotions']} of {now['attempts']}"
        said = f"no: {', '.join(changed)}" if changed else "yes"
        row = [f"`{task}`", f"`{now['champion'][:12]}`", now["dev"], measured, now["test"]["value"], promoted, said]
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        recorded[task] = now
    if record:
        RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    return 0 if record else int(differs > 0)
