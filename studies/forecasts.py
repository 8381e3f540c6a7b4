"""`toprope forecast` against real climbs: is what it says of longer climbs true?

Calibrates as the command does, then makes real climbs that are longer and compares what they took beyond the smaller
calibration climb: CPU time of practice, of all processes, and bytes of the ledger. Errors are relative to the real
climb. Wall time is printed but not compared where other programs use the machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toprope.assay import forecast
from toprope.run.beginning import space_of
from toprope.run.race import BLOCKS
from toprope.sandbox.selftest import best_tier
from toprope.sandbox.ulimits import cores
from toprope.tasks import registry


def compared(task_id: str, sizes: list[int], tier: str) -> list[dict[str, Any]]:
    """One row per real climb of so many experiments: what was said, what it took, and the relative errors."""
    task = registry.load(task_id)
    points = space_of(task).points
    small, large = forecast.calibrated(task, tier, lambda *_: None)
    rows, cut = [], (BLOCKS, task.spec.splits.generation)
    for n in sizes:
        real = forecast.measure(task, n, tier)
        more = real.experiments - small.experiments
        said = forecast.of(task, points, small, large, real.experiments, cores(), cores(), *cut, None)
        took = {
            "practice": sum(real.practice) - sum(small.practice),
            "cpu": real.cpu - small.cpu,
            "bytes": real.size,
        }
        told = {
            "practice": said.cpu_s["practice"] * more,
            "cpu": said.cpu_s_per_experiment * more,
            "bytes": said.ledger_bytes,
        }
        errors = {name: told[name] / took[name] - 1 for name in took}
        wall = {"said_s": 3600 * said.hours * more / real.experiments, "took_s": real.wall - small.wall}
        rows.append({"experiments": real.experiments, "told": told, "took": took, "errors": errors, **wall})
    return rows


def main(task: str, *, sizes: str = "256,512", output: Path | None = None) -> int:
    """sizes: experiments of the real climbs, with commas. Exit code 1 if an error exceeds a quarter."""
    rows = compared(task, [int(n) for n in sizes.split(",")], best_tier().tier)
    for r in rows:
        parts = [f"{k} {r['told'][k]:.4g} for {r['took'][k]:.4g} ({e:+.0%})" for k, e in r["errors"].items()]
        wall = f"wall {r['said_s']:.0f} s for {r['took_s']:.0f} s"
        print(f"{task}, {r['experiments']} experiments: {', '.join(parts)}; {wall}")
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(abs(e) > 0.25 for r in rows for e in r["errors"].values()))
