"""A claim of docs/measurements/w2s.md over independent runs: is the champion above every baseline on the sealed test?

Every run has its own climber seed and its own random run secret, so its own dev and hidden draws. Prints one line a run
and one for all, also where the claim does not hold; writes the rows as JSON to --output.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import toprope
from toprope.tasks import registry


def climb(task: str, seed: int, minutes: float, climber: str, folder: Path) -> dict[str, Any]:
    """The figures of one certifying run of its own in a vault of its own."""
    run, vault = folder / f"run-{seed}", folder / f"vault-{seed}"
    history = toprope.climb(task, climber=climber, seed=seed, minutes=minutes, unseal=True, run=run, vault=vault)
    return toprope.summary(history)


def row(result: dict[str, Any], tuned: set[str]) -> dict[str, Any]:
    """What the claim needs of one run: the champion, the best default and the best tuned baseline, vanilla."""
    values = result["baselines"]
    best_default = max((n for n in values if n not in tuned), key=values.__getitem__)
    best_tuned = max((n for n in values if n in tuned), key=values.__getitem__, default=best_default)
    return {
        "seed": result["seed"],
        "experiments": result["experiments"],
        "promotions": result["promotions"],
        "champion": result["test"],
        "vanilla": values.get("vanilla"),
        "best_default": [best_default, values[best_default], result["gains"][best_default]],
        "best_tuned": [best_tuned, values[best_tuned], result["gains"][best_tuned]],
        "above_vanilla": result["test"]["lo"] > values.get("vanilla", 0.0),
        "above_all": result["test"]["value"] > max(values.values()),
    }


def line(r: dict[str, Any]) -> str:
    c, (default, d, _), (tuned, t, gain) = r["champion"], r["best_default"], r["best_tuned"]
    return (
        f"seed {r['seed']}: {r['experiments']} experiments, {r['promotions']} promotions; champion {c['value']:.3f} "
        f"[{c['lo']:.3f}, {c['hi']:.3f}]; vanilla {r['vanilla']:.3f}; best default {default} {d:.3f}; "
        f"best tuned {tuned} {t:.3f}, beaten by {gain['value']:+.3f} [{gain['lo']:+.3f}, {gain['hi']:+.3f}]; "
        f"{'above all' if r['above_all'] else 'NOT above all'}"
    )


def main(
    task: str,
    *,
    runs: int = 5,
    first_seed: int = 1,
    minutes: float = 2.0,
    climber: str = "evolution",
    output: Path | None = None,
) -> None:
    task = registry.find(task)
    tuned = {name for name, b in registry.load(task).baselines().items() if b.tuned}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first_seed, first_seed + runs):
            result = climb(task, seed, minutes, climber, Path(folder))
            rows.append(row(result, tuned))
            print(line(rows[-1]), flush=True)
    print(
        f"{sum(r['above_vanilla'] for r in rows)} of {len(rows)} intervals above vanilla; "
        f"{sum(r['above_all'] for r in rows)} of {len(rows)} champions above every baseline; "
        f"mean champion {mean(r['champion']['value'] for r in rows):.3f}, "
        f"mean gain over the best tuned {mean(r['best_tuned'][2]['value'] for r in rows):+.3f}"
    )
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
