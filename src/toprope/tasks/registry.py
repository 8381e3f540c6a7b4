"""Tasks by id. One line adds one; nothing of a family (nor numpy) is imported until its task is loaded."""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toprope.errors import UsageError
from toprope.tasks import places

if TYPE_CHECKING:
    from toprope.protocols import Task

TASKS = {  # id -> (module, factory called with the id, task.toml in toprope_tasks)
    "monitorability/scratchpad-v1": ("toprope_tasks.monitorability", "make", "monitorability/task.toml"),
    "control/attack-v1": ("toprope_tasks.control.attack", "make", "control/attack/task.toml"),
    "control/codewatch-v1": ("toprope_tasks.control.codewatch", "make", "control/codewatch/task.toml"),
    "control/monitor-bank-v1": ("toprope_tasks.control.monitorbank", "make", "control/monitorbank/task.toml"),
    "control/protocol-v1": ("toprope_tasks.control", "make", "control/task.toml"),
    "mirror/calgrid-v1": ("toprope_tasks.mirror.calgrid", "make", "mirror/calgrid/task.toml"),
    "mirror/rpn-v1": ("toprope_tasks.mirror.rpn", "make", "mirror/rpn/task.toml"),
    "proxy/reward-model-v1": ("toprope_tasks.proxy", "make", "proxy/task.toml"),
    "w2s/probe-v1": ("toprope_tasks.w2s.task", "make", "w2s/probe-v1.toml"),
    "w2s/probe-hard-v1": ("toprope_tasks.w2s.task", "make", "w2s/probe-hard-v1.toml"),
    "w2s/probe-runs-v1": ("toprope_tasks.w2s.task", "make", "w2s/probe-runs-v1.toml"),
}
TESTING = {  # loadable by id, not listed: they are no alignment tasks
    "testing/asking-v1": ("toprope.testing.coin", "make", ""),
    "testing/coin-v1": ("toprope.testing.coin", "make", ""),
    "testing/nonce-v1": ("toprope.testing.coin", "make", ""),
    "testing/rough-coin-v1": ("toprope.testing.coin", "make", ""),
    "testing/sly-coin-v1": ("toprope.testing.coin", "make", ""),
}


OWN = "TOPROPE_TASKS"  # folders with tasks of one's own, separated as in PATH
NULL = "~null"  # after an id: its null-skill twin


class Listing(msgspec.Struct, frozen=True):
    """What `toprope tasks` shows of a task, read from its toml alone."""

    id: str
    family: str
    area: str
    title: str
    metric: str
    climbable_without_model: bool


def find(name: str) -> str:
    """The id that a user's TASK means: an id, or a folder that holds a task of their own, which from now on (and in the
    processes we start) is known by its id. Raises UsageError, naming what exists, for anything else."""
    folder = Path(name)
    if (folder / "task.toml").is_file():
        return _learn(folder)
    if not is_known(name) and (place := places.of_task(name.removesuffix(NULL))) and _holds(place, name):
        _learn(place)  # a task of one's own that was climbed before, by its id
    known(name)
    return name


def _learn(folder: Path) -> str:
    task_id = _id(folder)
    if task_id in TASKS | TESTING:
        raise UsageError(f"task folder {folder} has the id {task_id!r} of a shipped task; give it another in task.toml")
    folders = [str(folder.resolve()), *filter(None, os.environ.get(OWN, "").split(os.pathsep))]
    os.environ[OWN] = os.pathsep.join(dict.fromkeys(folders))
    return task_id


def _holds(folder: Path, name: str) -> bool:
    """Whether the folder still holds the task of this name."""
    try:
        return _id(folder) == name.removesuffix(NULL)
    except UsageError:
        return False


def for_run(run: str, task_id: str, folder: Path | None) -> str:
    """Makes a run's task known. folder: where the user says that it lies; None: where it was when they began the run.
    Raises UsageError where neither leads to it."""
    if folder is not None:
        if not _holds(folder, task_id):
            raise UsageError(f"--task {folder} holds no task {task_id}, which the run is of; name its folder")
        return _learn(folder)
    place = places.of_run(run, task_id.removesuffix(NULL))
    if not is_known(task_id) and place is not None and _holds(place, task_id):
        return _learn(place)
    if not is_known(task_id):
        was = f" (it was in {place})" if place is not None else ""
        raise UsageError(f"the run is of task {task_id}, which is not known here{was}; name its folder with --task DIR")
    return task_id


def is_known(task_id: str) -> bool:
    name = task_id.removesuffix(NULL)
    return name in TASKS | TESTING or name in own()


def known(task_id: str) -> None:
    """Raises UsageError, naming what exists, for an unknown id."""
    if not is_known(task_id):
        there = sorted([*TASKS, *own()])
        near = difflib.get_close_matches(task_id, there, 1, 0.6)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"task {task_id!r} is unknown{meant}; there are {', '.join(there)}; one of your own is named by its "
            f"folder, or {OWN}"
        )


def own() -> dict[str, Path]:
    """id -> folder of the tasks that TOPROPE_TASKS names, the first of an id; entries that hold none are passed over
    (see `faults`)."""
    return {_id(folder): folder for folder, why in reversed(list(_entries())) if not why}


def faults() -> list[str]:
    """What is wrong with entries of TOPROPE_TASKS, one line each."""
    return [f"{OWN}: {folder}: {why}; correct or remove this entry" for folder, why in _entries() if why]


def _entries() -> Iterator[tuple[Path, str]]:
    """(folder of a task, "") for every entry that is one or holds some, (entry, what is wrong) for every other."""
    for entry in filter(None, os.environ.get(OWN, "").split(os.pathsep)):
        folder = Path(entry)
        found = [folder] if (folder / "task.toml").is_file() else _below(folder)
        if not found:
            yield folder, "it holds no task.toml, and no folder in it does"
        for one in found:
            yield one, _wrong(one)


def _below(folder: Path) -> list[Path]:
    try:
        return [f for f in sorted(folder.iterdir()) if (f / "task.toml").is_file()]
    except OSError:
        return []


def _wrong(folder: Path) -> str:
    try:
        task_id = _id(folder)
    except UsageError as e:
        return str(e)
    return f"its id {task_id!r} is that of a shipped task" if task_id in TASKS | TESTING else ""


def _id(folder: Path) -> str:
    from toprope.tasks.spec import load_spec

    return load_spec(folder / "task.toml").id


def load(task_id: str) -> Task:
    """Make a task. Raises UsageError for an unknown id."""
    known(task_id)
    name = task_id.removesuffix(NULL)
    task = _own(name, own()[name]) if name not in TASKS | TESTING else _shipped(name)
    if name != task_id:
        from toprope.tasks.null import NullTwin

        return NullTwin(task, task_id)
    return task


def _shipped(name: str) -> Task:
    module, factory, _ = (TASKS | TESTING)[name]
    task: Task = getattr(import_module(module), factory)(name)
    return task


def _own(name: str, folder: Path) -> Task:
    """What `make(task_id)` in the folder's task.py gives. It runs in the referee, as its author's own code."""
    path = folder / "task.py"
    module_name = "toprope_own_" + "".join(c if c.isalnum() else "_" for c in name)
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise UsageError(f"task folder {folder} holds no task.py; `toprope new DIR` writes one that works")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # before it runs: its classes are looked up by it
        try:
            spec.loader.exec_module(module)
        except Exception as e:
            del sys.modules[module_name]
            raise UsageError(f"task {path} cannot be loaded: {type(e).__name__}: {e}") from e
    make = getattr(sys.modules[module_name], "make", None)
    if make is None:
        raise UsageError(f"task {path} defines no make(task_id); end it with `make = YourTask`")
    task: Task = make(name)
    return task


def available() -> list[Listing]:
    """Every registered task and the user's own, sorted by id."""
    paths = {task_id: Path(__file__).parents[2] / "toprope_tasks" / toml for task_id, (_, _, toml) in TASKS.items()}
    paths |= {task_id: folder / "task.toml" for task_id, folder in own().items()}
    return [_listing(task_id, paths[task_id]) for task_id in sorted(paths)]


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
