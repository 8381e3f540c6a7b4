"""Where the tasks of this user's own runs lie: remembered beside the vault, so that a run's directory names no code.

A run directory may come from a stranger, and what it names would be loaded. The vault's directory is the user's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE = "places.jsonl"


class TaskPlace(msgspec.Struct, frozen=True):
    """folder: of the task that a run was begun on."""

    run: str
    task: str
    folder: str


def remember(vault: Path, run: str, task_id: str, folder: Path) -> None:
    """Appends one line beside the vault; a later one for the same run replaces it."""
    place = TaskPlace(run, task_id, str(folder.resolve()))
    if of_run(vault, run, task_id) == Path(place.folder):
        return
    path = vault / FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab") as f:
        f.write(msgspec.json.encode(place) + b"\n")


def of_run(vault: Path, run: str, task_id: str) -> Path | None:
    """The folder this run's task was last in; None for a run that this user has not begun."""
    return _last(p for p in _places(vault) if (p.run, p.task) == (run, task_id))


def of_task(vault: Path, task_id: str) -> Path | None:
    """The folder in which the task with this id was last climbed."""
    return _last(p for p in _places(vault) if p.task == task_id)


def _last(places: Iterator[TaskPlace]) -> Path | None:
    found = list(places)
    return Path(found[-1].folder) if found else None


def _places(vault: Path) -> Iterator[TaskPlace]:
    """Lines that a full disk cut short, or that somebody else wrote, are passed over."""
    try:
        lines = (vault / FILE).read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=TaskPlace)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
