"""Tasks by id: those of installed packages, by entry point, and the user's own folders.

Neither a task's code nor numpy is imported before a task is loaded: listing reads the installation and task.toml.
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

TESTING = {  # loadable by id but not listed, because they are not alignment tasks
    f"testing/{name}-v1": "toprope.testing.coin:make" for name in ("asking", "coin", "nonce", "rough-coin", "sly-coin")
}
OWN = "TOPROPE_TASKS"  # folders with the user's own tasks, separated as in PATH
NULL = "~null"  # after an id: its null-skill twin


class Listing(msgspec.Struct, frozen=True):
    """What `toprope tasks` shows of a task, read from its task.toml only."""

    id: str
    family: str
    area: str
    title: str
    metric: str
    climbable_without_model: bool


def find(name: str, vault: Path | None = None) -> str:
    """The id that a user's TASK means: an id, or the folder of the user's own task, which is then known by its id, also
    in the processes that we start. vault: where folders of runs are stored; None: this user's. Raises UsageError, which
    lists what exists, for anything else."""
    folder = Path(name)
    if (folder / "task.toml").is_file():
        return _learn(folder)
    if not is_known(name) and (place := _remembered(name, vault)) is not None:
        _learn(place)  # a user's own task that was climbed before, by its id
    known(name)
    return name


def _learn(folder: Path) -> str:
    """Makes a folder's task known here and to the processes that we start. Only this function does.

    The environment carries the folder, not the messages that carry a task's vault: `load` takes an id in the hub, in
    scorers, in brokers, in the program that is imitated and in workers alike, so each of their configurations would
    need the folder; and a referee service obeys its clients' configurations, where a folder is a stranger's code.
    """
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
    """Makes a run's task known. folder: given by the user; None: where it was when the user began the run, as stored
    beside the vault (None: this user's). Raises UsageError if it is not there."""
    if folder is not None:
        if not _holds(folder, task_id):
            raise UsageError(f"--task {folder} does not hold {task_id}, the task of the run; name its folder")
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
    """Raises UsageError for an unknown id, listing what exists, and for an id that several packages register."""
    plugins.find(plugins.TASKS, task_id.removesuffix(NULL))
    if not is_known(task_id):
        there = sorted([*installed(), *own()])
        near = difflib.get_close_matches(task_id, there, 1, 0.6)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"task {task_id!r} is unknown{meant}; there are {', '.join(there)}; name a task of your own by its folder, "
            f"or in {OWN}"
        )


def own() -> dict[str, Path]:
    """id -> folder of the tasks that TOPROPE_TASKS names, the first one for each id; wrong entries are skipped (see
    `faults`)."""
    return {_id(folder): folder for folder, why in reversed(list(_entries())) if not why}


def faults() -> list[str]:
    """One line for each wrong entry of TOPROPE_TASKS."""
    return [f"{OWN}: {folder}: {why}; correct or remove this entry" for folder, why in _entries() if why]


def _entries() -> Iterator[tuple[Path, str]]:
    """(folder, "") for every task that an entry is or holds; (entry, what is wrong) for wrong entries."""
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
    """Why a user's own task cannot have this id; empty if it can."""
    if task_id in TESTING:
        return f"its id {task_id!r} is that of a task shipped for tests"
    plugin = installed().get(task_id)
    return f"its id {task_id!r} is that of a task shipped with {plugin.package}" if plugin is not None else ""


def _id(folder: Path) -> str:
    from toprope.tasks.spec import load_spec

    return load_spec(folder / "task.toml").id


def load(task_id: str, vault: Path | None = None) -> Task:
    """Makes a task. vault: the vault whose secret it uses, if it keeps one; None: this user's. Raises UsageError for an
    unknown id, and for a task that cannot be made."""
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
        raise UsageError(f"{source} cannot be made: {why}; repair its constructor") from e
    _complete(task, name, source)
    if keeps_secret(task):
        task.open_secret(vault or paths.vault())
    if name != task_id:
        from toprope.tasks.null import NullTwin

        return NullTwin(task, task_id)
    return task


def _factory(name: str) -> tuple[Callable[[str], Any], str]:
    """The function that makes a task, and how error messages name the task."""
    if name in TESTING:
        return plugins.imported(TESTING[name], f"task {name!r}", "install toprope again"), f"task {name!r}"
    plugin = installed().get(name)
    if plugin is not None:
        return plugin.load(), str(plugin)
    return _own(name, own()[name]), f"task {name!r} in {own()[name]}"


def _complete(task: Any, name: str, source: str) -> None:
    """Raises UsageError for an object that lacks members of `protocols.Task`, or has another id."""
    from toprope.protocols import Task

    lacks = [m for m in (*Task.__annotations__, *vars(Task)) if not m.startswith("_") and not hasattr(task, m)]
    if lacks:
        raise UsageError(f"{source} has no {', '.join(lacks)}; see toprope.protocols.Task, or build on FolderTask")
    if task.spec.id != name:
        raise UsageError(f"{source} says that it is {task.spec.id!r}; its spec must have the id it is registered by")


def _own(name: str, folder: Path) -> Callable[[str], Any]:
    """`make` of the folder's task.py, which is imported here. The code is the user's own and runs in the referee. A
    file that has changed since it was loaded, or lies in another folder, is another module."""
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
        sys.modules[module_name] = module  # before it runs, because classes are looked up by module name
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
    """The tasks of installed packages and the user's own, sorted by id; `unlisted` has those that cannot be listed."""
    return [card for card in _cards() if isinstance(card, Listing)]


def unlisted() -> list[str]:
    """One line for each task of a package that cannot be listed: which package, and why."""
    return [*plugins.clashes(plugins.TASKS), *(card for card in _cards() if isinstance(card, str))]


def _cards() -> Iterator[Listing | str]:
    """The listing of each task, or why it cannot be read."""
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
