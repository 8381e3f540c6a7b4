"""Doors for other packages: entry points of what is installed, and MODULE:CLASS on a command line.

Looking up a name imports nothing: the names, and the folder of a module, are read from the installation. A module is
imported when a user names something in it. Workers run with -P and search the same path, so a module that lies in the
working directory only is never found. Callers never pass on a MODULE:CLASS that a run directory holds.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from toprope.errors import UsageError

TASKS, CLIMBERS, EXECUTORS, COMMANDS = (f"toprope.{kind}" for kind in ("tasks", "climbers", "executors", "commands"))
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class Plugin(NamedTuple):
    """One entry point. target: MODULE:ATTRIBUTE. package: name and version of the distribution that registers it."""

    group: str
    name: str
    target: str
    package: str

    def __str__(self) -> str:
        kind = self.group.removeprefix("toprope.").removesuffix("s")
        return f"{kind} {self.name!r} of package {self.package}"

    @property
    def roots(self) -> list[Path]:
        """The folders of its top package, or the file of its module, found without importing it; [] if missing."""
        top = self.target.partition(":")[0].partition(".")[0]  # to find a deeper one, its parents would be imported
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            return []
        return [Path(p) for p in spec.submodule_search_locations or ([spec.origin] if spec.origin else [])]

    @property
    def folder(self) -> Path | None:
        """The folder of its module, found like `roots`; None if it is missing."""
        inner = self.target.partition(":")[0].split(".")[1:]
        for root in self.roots:
            at = root.joinpath(*inner)
            if at.is_dir():
                return at
            if at.is_file() or at.with_name(at.name + ".py").is_file():
                return at.parent
        return None

    def load(self) -> Any:
        """The object it names. Raises UsageError, in one line that names the package, if it cannot be imported."""
        return imported(self.target, str(self), f"update or uninstall {self.package}")


def registered(group: str) -> dict[str, Plugin]:
    """name -> entry point of a group, for the names that exactly one package registers."""
    return {name: some[0] for name, some in _found(group, tuple(sys.path)).items() if len(some) == 1}


def find(group: str, name: str) -> Plugin | None:
    """The entry point of this name, or None. Raises UsageError for a name that several packages register."""
    some = _found(group, tuple(sys.path)).get(name, ())
    if len(some) > 1:
        raise UsageError(_clash(some))
    return some[0] if some else None


def clashes(group: str) -> list[str]:
    """One line for each name that several packages register."""
    return [_clash(some) for some in _found(group, tuple(sys.path)).values() if len(some) > 1]


def _clash(some: tuple[Plugin, ...]) -> str:
    kind = some[0].group.removeprefix("toprope.").removesuffix("s")
    packages = " and ".join(p.package for p in some)
    return f"{kind} {some[0].name!r} is registered by {packages}; uninstall all but one of them"


@lru_cache(maxsize=32)
def _found(group: str, path: tuple[str, ...]) -> dict[str, tuple[Plugin, ...]]:
    """path: sys.path, which decides what is installed."""
    found: dict[str, tuple[Plugin, ...]] = {}
    for e in entry_points(group=group):
        package = f"{e.dist.name} {e.dist.version}" if e.dist is not None else "unknown"
        found[e.name] = (*found.get(e.name, ()), Plugin(group, e.name, e.value, package))
    return dict(sorted(found.items()))


def is_target(text: str) -> bool:
    """Whether it has the form MODULE:CLASS."""
    return _TARGET.fullmatch(text) is not None


def target_of(named: Any) -> str:
    """MODULE:CLASS of a class or function, by which a record can name it. Raises UsageError for one that its module
    does not hold by its name."""
    target = f"{getattr(named, '__module__', '')}:{getattr(named, '__qualname__', '')}"
    remedy = "define it at the top of a module: a run's record names it as MODULE:CLASS"
    if not is_target(target) or imported(target, repr(named), remedy) is not named:
        raise UsageError(f"{named!r} cannot be found as {target}; {remedy}")
    return target


def imported(target: str, what: str, remedy: str) -> Any:
    """The object that MODULE:ATTRIBUTE names. what: how the message calls it. Raises UsageError with the reason and the
    remedy if it cannot be loaded."""
    module, _, attribute = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (Exception, SystemExit) as e:  # somebody else's module may raise anything
        why = " ".join(f"{type(e).__name__}: {e}".split())
        raise UsageError(f"{what} cannot be loaded from {target}: {why}; {remedy}") from e
    return found
