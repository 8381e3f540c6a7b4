"""The flagship claim over independent runs: does the climbed champion beat every baseline on the sealed test?

    python -m toprope.assay.independent w2s/probe-v1 --runs 5 --minutes 2 [--out FILE]

Every run has its own climber seed and its own random run secret, so its own dev and hidden draws. Prints one line a run
and one for all; says also where the claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from toprope import wire


def climb(task: str, seed: int, minutes: float, climber: str, folder: Path) -> dict[str, Any]:
    """One certifying run of its own in a vault of its own, as `toprope climb --json` tells it."""
    argv = wire.command("toprope.cli", "climb", task, "--climber", climber, "--seed", seed)
    argv += ["--minutes", str(minutes), "--unseal", "--json", "--run", str(folder / f"run-{seed}")]
    environment = {**os.environ, "TOPROPE_VAULT": str(folder / f"vault-{seed}")}
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--climber", default="evolution")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from toprope.tasks import registry

    options.task = registry.find(options.task)

    tuned = {name for name, b in registry.load(options.task).baselines().items() if b.tuned}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first_seed, options.first_seed + options.runs):
            result = climb(options.task, seed, options.minutes, options.climber, Path(folder))
            rows.append(row(result, tuned))
            print(line(rows[-1]), flush=True)
    print(
        f"{sum(r['above_vanilla'] for r in rows)} of {len(rows)} intervals above vanilla; "
        f"{sum(r['above_all'] for r in rows)} of {len(rows)} champions above every baseline; "
        f"mean champion {mean(r['champion']['value'] for r in rows):.3f}, "
        f"mean gain over the best tuned {mean(r['best_tuned'][2]['value'] for r in rows):+.3f}"
    )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
