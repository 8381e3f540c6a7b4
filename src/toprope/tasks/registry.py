"""Tasks by id: those of installed packages, by entry point, and folders of one's own.

Nothing of a task (nor numpy) is imported until it is loaded: the list is made from the installation and task.toml.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from toprope import paths, plugins
from toprope.errors import TopropeError, UsageError
from toprope.tasks import places

if TYPE_CHECKING:
    from toprope.protocols import Task

TESTING = {  # loadable by id, not listed: they are no alignment tasks
    f"testing/{name}-v1": "toprope.testing.coin:make" for name in ("asking", "coin", "nonce", "rough-coin", "sly-coin")
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


def find(name: str, vault: Path | None = None) -> str:
    """The id that a user's TASK means: an id, or a folder that holds a task of their own, which from now on (and in the
    processes we start) is known by its id. vault: beside which the folders of runs are remembered; None: this user's.
    Raises UsageError, naming what exists, for anything else."""
    folder = Path(name)
    if (folder / "task.toml").is_file():
        return _learn(folder)
    if not is_known(name) and (place := _remembered(name, vault)) is not None:
        _learn(place)  # a task of one's own that was climbed before, by its id
    known(name)
    return name


def _learn(folder: Path) -> str:
    """Makes a folder's task known here and, by the environment, to the processes we start: the one place that does."""
    task_id = _id(folder)
    if why := _taken(task_id):
        raise UsageError(f"task folder {folder}: {why}; give it another in task.toml")
    folders = [str(folder.resolve()), *filter(None, os.environ.get(OWN, "").split(os.pathsep))]
    os.environ[OWN] = os.pathsep.join(dict.fromkeys(folders))
    return task_id


def _remembered(name: str, vault: Path | None) -> Path | None:
    place = places.of_task(vault or paths.vault(), name.removesuffix(NULL))
    return place if place is not None and _holds(place, name) else None


def _holds(folder: Path, name: str) -> bool:
    """Whether the folder still holds the task of this name."""
    try:
        return _id(folder) == name.removesuffix(NULL)
    except UsageError:
        return False


def for_run(run: str, task_id: str, folder: Path | None, vault: Path | None = None) -> str:
    """Makes a run's task known. folder: where the user says that it lies; None: where it was when they began the run,
    as remembered beside the vault (None: this user's).
    Raises UsageError where neither leads to it."""
    if folder is not None:
        if not _holds(folder, task_id):
            raise UsageError(f"--task {folder} holds no task {task_id}, which the run is of; name its folder")
        return _learn(folder)
    place = places.of_run(vault or paths.vault(), run, task_id.removesuffix(NULL))
    if not is_known(task_id) and place is not None and _holds(place, task_id):
        return _learn(place)
    if not is_known(task_id):
        was = f" (it was in {place})" if place is not None else ""
        raise UsageError(f"the run is of task {task_id}, which is not known here{was}; name its folder with --task DIR")
    return task_id


def is_known(task_id: str) -> bool:
    name = task_id.removesuffix(NULL)
    return name in TESTING or name in installed() or name in own()


def installed() -> dict[str, plugins.Plugin]:
    """id -> entry point of the tasks of installed packages."""
    return plugins.registered(plugins.TASKS)


def known(task_id: str) -> None:
    """Raises UsageError for an id that is unknown, naming what exists, or that several packages register."""
    plugins.find(plugins.TASKS, task_id.removesuffix(NULL))
    if not is_known(task_id):
        there = sorted([*installed(), *own()])
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
    return _taken(task_id)


def _taken(task_id: str) -> str:
    """What is wrong with this id for a task of one's own."""
    if task_id in TESTING:
        return f"its id {task_id!r} is that of a task shipped for tests"
    plugin = installed().get(task_id)
    return f"its id {task_id!r} is that of a task shipped with {plugin.package}" if plugin is not None else ""


def _id(folder: Path) -> str:
    from toprope.tasks.spec import load_spec

    return load_spec(folder / "task.toml").id


def load(task_id: str, vault: Path | None = None) -> Task:
    """Make a task. vault: whose secret it uses where it keeps one; None: this user's. Raises UsageError for an unknown
    id, and for a task that cannot be made."""
    from toprope.protocols import keeps_secret

    known(task_id)
    name = task_id.removesuffix(NULL)
    make, source = _factory(name)
    try:
        task: Task = make(name)
    except TopropeError:
        raise
    except Exception as e:
        why = " ".join(f"{type(e).__name__}: {e}".split())
        raise UsageError(f"{source} cannot be made: {why}; mend its constructor") from e
    _complete(task, name, source)
    if keeps_secret(task):
        task.open_secret(vault or paths.vault())
    if name != task_id:
        from toprope.tasks.null import NullTwin

        return NullTwin(task, task_id)
    return task


def _factory(name: str) -> tuple[Callable[[str], Any], str]:
    """What makes a task, and who it is of, for complaints."""
    if name in TESTING:
        return plugins.imported(TESTING[name], f"task {name!r}", "install toprope again"), f"task {name!r}"
    plugin = installed().get(name)
    if plugin is not None:
        return plugin.load(), str(plugin)
    return _own(name, own()[name]), f"task {name!r} in {own()[name]}"


def _complete(task: Any, name: str, source: str) -> None:
    """Raises UsageError for an object that is no `protocols.Task`, or is another task than was asked for."""
    from toprope.protocols import Task

    lacks = [m for m in (*Task.__annotations__, *vars(Task)) if not m.startswith("_") and not hasattr(task, m)]
    if lacks:
        raise UsageError(f"{source} has no {', '.join(lacks)}; see toprope.protocols.Task, or build on FolderTask")
    if task.spec.id != name:
        raise UsageError(f"{source} says that it is {task.spec.id!r}; its spec must have the id it is registered by")


def _own(name: str, folder: Path) -> Callable[[str], Any]:
    """`make` of the folder's task.py. It runs in the referee, as its author's own code. A file that was changed since
    it was loaded, or lies in another folder, is another module."""
    path = folder / "task.py"
    if not path.is_file():
        raise UsageError(f"task folder {folder} holds no task.py; `toprope new DIR` writes one that works")
    version = hashlib.sha256(os.fsencode(path.resolve()) + b"\0" + path.read_bytes()).hexdigest()[:16]
    module_name = f"toprope_own_{''.join(c if c.isalnum() else '_' for c in name)}_{version}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # before it runs: its classes are looked up by it
        try:
            spec.loader.exec_module(module)
        except Exception as e:
            del sys.modules[module_name]
            raise UsageError(f"task {path} cannot be loaded: {type(e).__name__}: {e}") from e
    make: Callable[[str], Any] | None = getattr(sys.modules[module_name], "make", None)
    if make is None:
        raise UsageError(f"task {path} defines no make(task_id); end it with `make = YourTask`")
    return make


def available() -> list[Listing]:
    """The tasks of installed packages and the user's own, sorted by id; what cannot be listed stands in `unlisted`."""
    return [card for card in _cards() if isinstance(card, Listing)]


def unlisted() -> list[str]:
    """One line for each task of a package that cannot be listed: which package, and why."""
    return [*plugins.clashes(plugins.TASKS), *(card for card in _cards() if isinstance(card, str))]


def _cards() -> Iterator[Listing | str]:
    """What task.toml says of each task, or why it cannot be read."""
    there: dict[str, plugins.Plugin | Path] = {**own(), **installed()}
    for task_id, source in sorted(there.items()):
        folder = source.folder if isinstance(source, plugins.Plugin) else source
        try:
            if folder is None:
                raise ValueError("its module is not installed")
            yield _listing(task_id, folder / "task.toml")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            why = f"its task.toml lacks {e}" if isinstance(e, KeyError) else " ".join(str(e).split())
            yield f"{source}: {why}; update or uninstall the package"


def _listing(task_id: str, path: Path) -> Listing:
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    if card["id"] != task_id:
        raise ValueError(f"{path} has the id {card['id']!r}")
    return Listing(
        id=task_id,
        family=task_id.split("/")[0],
        area=card["area"],
        title=card["title"],
        metric=card["metric"]["name"],
        climbable_without_model=card.get("climbable_without_model", True),
    )
