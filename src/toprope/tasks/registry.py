"""Tasks by id. One line adds one; nothing of a family (nor numpy) is imported until its task is loaded."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toprope.errors import UsageError

if TYPE_CHECKING:
    from toprope.protocols import Task

TASKS = {  # id -> (module, factory called with the id, task.toml beside this file)
    "proxy/reward-model-v1": ("toprope.tasks.proxy", "make", "proxy/task.toml"),
    "w2s/probe-v1": ("toprope.tasks.w2s.task", "make", "w2s/probe-v1.toml"),
    "w2s/probe-hard-v1": ("toprope.tasks.w2s.task", "make", "w2s/probe-hard-v1.toml"),
    "w2s/probe-runs-v1": ("toprope.tasks.w2s.task", "make", "w2s/probe-runs-v1.toml"),
}
TESTING = {  # loadable by id, not listed: they are no alignment tasks
    "testing/coin-v1": ("toprope.testing.coin", "make", ""),
    "testing/nonce-v1": ("toprope.testing.coin", "make", ""),
    "testing/rough-coin-v1": ("toprope.testing.coin", "make", ""),
    "testing/sly-coin-v1": ("toprope.testing.coin", "make", ""),
}


NULL = "~null"  # after an id: its null-skill twin


class Listing(msgspec.Struct, frozen=True):
    """What `toprope tasks` shows of a task, read from its toml alone."""

    id: str
    family: str
    area: str
    title: str
    metric: str
    climbable_without_model: bool


def known(task_id: str) -> None:
    """Raises UsageError, naming what exists, for an unknown id."""
    if task_id.removesuffix(NULL) not in TASKS | TESTING:
        raise UsageError(f"task {task_id!r} is unknown; there are {', '.join(sorted(TASKS))}")


def load(task_id: str) -> Task:
    """Make a task. Raises UsageError for an unknown id."""
    known(task_id)
    name = task_id.removesuffix(NULL)
    module, factory, _ = (TASKS | TESTING)[name]
    task: Task = getattr(import_module(module), factory)(name)
    if name != task_id:
        from toprope.tasks.null import NullTwin

        return NullTwin(task, task_id)
    return task


def available() -> list[Listing]:
    """Every registered task, sorted by id."""
    return [_listing(task_id, Path(__file__).parent / TASKS[task_id][2]) for task_id in sorted(TASKS)]


def _listing(task_id: str, path: Path) -> Listing:
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    return Listing(
        id=task_id,
        family=task_id.split("/")[0],
        area=card["area"],
        title=card["title"],
        metric=card["metric"]["name"],
        climbable_without_model=card.get("climbable_without_model", True),
    )
