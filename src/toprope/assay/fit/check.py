"""The checks of `toprope check TASK` in their order, and a whole climb on the null-skill twin, whose gold no candidate
can know."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from toprope import wire
from toprope.assay.fit.answers import null_answers
from toprope.assay.fit.candidates import candidates, probes_in
from toprope.assay.fit.card import card
from toprope.assay.fit.draws import anchors, repeats
from toprope.assay.fit.elsewhere import repeats_elsewhere
from toprope.assay.fit.row import Check
from toprope.protocols import Progress, Task
from toprope.tasks import registry
from toprope.types import Candidate

NULL_EXPERIMENTS = 96


def check(task_id: str, probes: Path | None, tier: str, workers: int, progress: Progress) -> dict[str, Any]:
    """The JSON object of `toprope check`. probes: a directory of candidate directories, or None."""
    task = registry.load(task_id)
    extra = probes_in(probes, task) if probes is not None else {}
    checks = list(_draws(task, workers, progress))
    if all(c.value > 0 for c in checks if c.name == "gap"):  # without a gap nothing has a value
        checks += _played(task, tier, workers, extra, progress)
    return {
        "task": task_id,
        "admitted": all(c.admits for c in checks),
        "checks": [msgspec.structs.asdict(c) for c in checks],
        "public_secrets": task.spec.public_secrets,
    }


def _draws(task: Task, workers: int, progress: Progress) -> list[Check]:
    for split in ("dev", "measure"):
        task.prepare(split, progress)
    found = [*card(task), repeats(task)]
    progress("draws in other processes", 0.1)
    return [*found, repeats_elsewhere(task.spec.id, workers), *anchors(task)]


def _played(task: Task, tier: str, workers: int, probes: dict[str, Candidate], progress: Progress) -> list[Check]:
    progress("null answers", 0.2)
    found = [null_answers(task)]
    progress("baselines and probes in the sandbox", 0.4)
    found += candidates(task, secrets.token_bytes(16), tier, workers, probes)
    progress("a climb on the null-skill twin", 0.7)
    return [*found, null_twin(task.spec.id, workers)]


def null_twin(task_id: str, workers: int) -> Check:
    """A climb with unknowable gold through the real gate, in a vault of its own. A promotion shows a leak, apart from a
    chance of at most one in twenty."""
    with tempfile.TemporaryDirectory() as folder:
        argv = wire.command("toprope.cli", "climb", task_id + registry.NULL, "--json")
        argv += ["--experiments", str(NULL_EXPERIMENTS), "--workers", str(workers), "--run", f"{folder}/run"]
        environment = {**os.environ, "TOPROPE_VAULT": f"{folder}/vault"}
        told = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if told.returncode:
        return Check("null-skill twin", False, told.returncode, 0, f"the climb on it failed: {told.stderr.strip()}")
    done = json.loads(told.stdout)
    why = f"promotions in {done['experiments']} experiments, {done['attempts']} attempts on gold that nobody can know"
    return Check("null-skill twin", done["promotions"] == 0, done["promotions"], 0, why)
