"""Reads a task.toml into a TaskSpec: every field is checked, unknown ones are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from toprope.errors import UsageError
from toprope.protocols import TaskSpec
from toprope.types import Tree


def load_spec(path: Path) -> TaskSpec:
    """Raises UsageError naming the file and the field if it is missing, malformed or of another shape."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        if unknown := sorted(set(fields) - set(TaskSpec.__struct_fields__)):
            raise UsageError(f"{path}: unknown field {unknown[0]!r}; known are {', '.join(TaskSpec.__struct_fields__)}")
        return msgspec.convert(fields, TaskSpec)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None


def load_tree(folder: Path) -> Tree:
    """The files of a candidate folder; compiled leftovers and hidden files are not part of it."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    if not files:
        raise UsageError(f"{folder} holds no files; a candidate needs at least solution.py")
    return Tree(files)
