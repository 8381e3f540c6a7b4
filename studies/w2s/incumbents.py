"""The best candidates so far, one after another, of recorded climbs: writes climbed.json for w2s/does_it_transfer.

A candidate counts once it was tried on all dev draws. What a climb picks first and last shows what selection does.
Climbs of their own are needed: `toprope climb w2s/probe-v1 --minutes 2 --run DIR`. They may be of any w2s task.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studies.w2s.measured import CLIMBED
from toprope.api import open_run
from toprope.journal.history import RunHistory
from toprope.types import Anchors


def steps(run: RunHistory) -> list[dict[str, Any]]:
    """[{experiment, dev, params}] of every candidate that was the best so far, in the order of experiments."""
    scores, failed = run.dev_scores()
    candidates, found, best = run.candidates(), [], float("-inf")
    anchors = Anchors(run.opening.floors, run.opening.ceilings)
    for experiment in sorted(scores):
        if experiment in failed or len(scores[experiment]) < len(anchors.floors):
            continue
        value = float(anchors.value(scores[experiment]))
        if value > best:
            best = value
            found.append({"experiment": experiment, "dev": value, "params": candidates[experiment].params})
    return found


def main(*, runs: tuple[Path, ...] = (), output: Path = CLIMBED) -> None:
    recorded = []
    for path in runs:
        run = open_run(path)
        spec = run.opening.spec
        recorded.append({"name": f"climbed on {spec.task}, seed {spec.seed},", "steps": steps(run)})
    output.write_text(json.dumps(recorded, indent=1) + "\n")
