"""A private secret for a vault, in place of the one that a task ships (`Task.secret`)."""

from __future__ import annotations

from pathlib import Path

from toprope.errors import UsageError
from toprope.protocols import Progress, keeps_secret
from toprope.tasks import registry


def make(task_id: str, vault: Path, seed: int | None, progress: Progress) -> dict[str, str]:
    """Makes the secret, and returns {"task", "path", "hidden"}. Raises UsageError for a task without such a secret, and
    for a vault that already has one."""
    task = registry.load(task_id, vault)
    if not keeps_secret(task):
        other = f"; this makes its {task.secret.kind} private: {task.secret.remedy}" if task.secret is not None else ""
        raise UsageError(f"task {task_id} keeps no secret in a vault{other}")
    path = task.make_secret(vault, seed, progress)
    task.open_secret(vault)
    return {"task": task_id, "path": str(path), "hidden": task.secret.name if task.secret is not None else ""}
