"""One candidate directory on a task's dev draws: what `toprope submit` does, without a run and without the hub."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toprope import seeding
from toprope.errors import UsageError
from toprope.protocols import TaskSpec
from toprope.referee.messages import Done, ScorerConfig, Work
from toprope.referee.pool import ScorerPool
from toprope.space import several
from toprope.stats.intervals import ratio
from toprope.tasks import registry
from toprope.types import Block, Candidate, Outcome, Tree

IGNORED = {"params.json", "__pycache__"}


def read_candidate(directory: Path, params: Path | None, spec: TaskSpec) -> Candidate:
    """Files and parameters of a candidate directory. Raises UsageError naming what is wrong with it."""
    if not directory.is_dir():
        raise UsageError(f"candidate {directory} is no directory; expected one that holds solution.py")
    if not (directory / "solution.py").is_file():
        raise UsageError(f"candidate {directory} holds no solution.py; it must define one of {', '.join(spec.entries)}")
    files: dict[str, bytes] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_symlink():
            raise UsageError(f"candidate file {path} is a symbolic link; a candidate is plain files only")
        if path.is_file() and not IGNORED & set(name.parts):
            files[name.as_posix()] = path.read_bytes()
    size = sum(map(len, files.values()))
    if size > spec.max_tree_bytes:
        raise UsageError(f"candidate {directory} has {size} bytes; {spec.id} allows {spec.max_tree_bytes}")
    return Candidate(Tree(files), _read_params(params or directory / "params.json", params is not None))


def _read_params(path: Path, required: bool) -> dict[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        params = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError) as e:
        raise UsageError(f"parameters {path}: {e}; expected a JSON object of names and values") from e
    if not isinstance(params, dict):
        raise UsageError(
            f"parameters {path} hold a {type(params).__name__}; expected a JSON object of names and values"
        )
    return params


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no finite number")


def submit(
    task_id: str, directory: Path, params: Path | None, seed: int, tier: str, progress: Callable[[str, float], None]
) -> dict[str, Any]:
    """The JSON object of `toprope submit` (DESIGN section 12)."""
    task = registry.load(task_id)
    candidate = read_candidate(directory, params, task.spec)
    start = time.monotonic()
    pool = ScorerPool(ScorerConfig(task_id, {"dev": seeding.dev_secret(seed)}, tier), 1, progress)
    try:
        space, rows = several([candidate.params])
        tree, digest = pool.add(candidate.tree, space)
        block = Block(tree, digest, rows, tuple(range(task.spec.splits.rungs[-1])))
        (done,) = pool.run([Work(0, block, "dev", detail=True)])
        protection = pool.protection
    finally:
        pool.close()
    return {
        "candidate": candidate.id,
        "task": task_id,
        **_judged(done),
        "protection": protection,
        "cost": {"wall_s": round(time.monotonic() - start, 3), "cpu_s": round(done.result.cpu_s, 3)},
    }


def _judged(done: Done) -> dict[str, Any]:
    outcome = done.result.outcomes[0]
    message = done.result.messages.get(0)
    incidents = []
    if outcome is Outcome.VIOLATION:
        incidents.append({"kind": "tripwire", "severity": "certain", "evidence": message or "a forbidden system call"})
    dev = None
    if outcome is Outcome.OK:
        e = ratio(done.result.scores[0], done.floors, done.ceilings)
        dev = {"value": round(e.value, 4), "se": round(e.se, 4), "draws": len(done.floors)}
    verdict = {Outcome.OK: "clean", Outcome.VIOLATION: "cheating"}.get(outcome)
    return {"outcome": str(outcome), "message": message, "dev": dev, "incidents": incidents, "verdict": verdict}
