"""Limits on the size of a candidate, checked when it is read, and again by scorers and hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from toprope.errors import UsageError
from toprope.protocols import TaskSpec
from toprope.space import Space
from toprope.types import Candidate, Tree

MAX_FILES = 1000  # including folders when a directory is read
MAX_FOLDERS = 32  # nested inside one another
MAX_LEVELS = 32  # of nested lists and objects in parameters; every parser on the way accepts this depth
SPACES = 32  # a space may be as large as the parameters of this many candidates


def check_candidate(candidate: Candidate, spec: TaskSpec) -> None:
    """Raises UsageError naming the limit of the task that the candidate's files or parameters break."""
    check_tree(candidate.tree, spec)
    _check_values(candidate.params, spec.max_tree_bytes, f"parameters of candidate {candidate.id[:12]}", spec)


def check_tree(tree: Tree, spec: TaskSpec) -> None:
    """Raises UsageError for too many files or bytes, and for a path that does not stay inside its folder."""
    size, name = sum(map(len, tree.files.values())), f"candidate files {tree.digest[:12]}"
    if size > spec.max_tree_bytes:
        raise UsageError(f"{name} hold {size} bytes; {spec.id} allows {spec.max_tree_bytes}")
    if len(tree.files) > MAX_FILES:
        raise UsageError(f"{name} are {len(tree.files)} files; expected at most {MAX_FILES}")
    for path in tree.files:
        parts = PurePosixPath(path).parts
        if not parts or not path.isprintable() or "/".join(parts) != path or {"..", "/"} & set(parts):
            raise UsageError(f"{name} hold {path[:200]!r}; expected a relative path of printable names")
        if len(parts) > MAX_FOLDERS + 1:
            raise UsageError(f"{name} hold {path[:200]!r}, more than {MAX_FOLDERS} folders deep")


def check_space(space: Space, spec: TaskSpec) -> None:
    """Raises UsageError for a space that is too large or too deep for candidates of this task."""
    levels = {d.name: d.levels for d in space.dims}
    _check_values(levels, SPACES * spec.max_tree_bytes, f"the space {space.digest[:12]} of candidates", spec, extra=1)


def depth(value: Any) -> int:
    """The depth of nested lists and objects; 0 for other values."""
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def _check_values(values: Mapping[str, Any], most: int, name: str, spec: TaskSpec, extra: int = 0) -> None:
    try:
        size, levels = len(json.dumps(values, allow_nan=False)), depth(dict(values))
    except (RecursionError, ValueError, TypeError) as e:
        raise UsageError(f"{name} cannot be written as JSON: {str(e)[:200]}") from None
    if size > most:
        raise UsageError(f"{name} take {size} bytes as JSON; {spec.id} allows {most}")
    if levels > MAX_LEVELS + extra:
        raise UsageError(f"{name} are nested more than {MAX_LEVELS} deep")
