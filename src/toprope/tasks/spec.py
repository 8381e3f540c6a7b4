"""Reads a task.toml into a TaskSpec: every field is checked, and unknown fields are refused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from toprope.errors import UsageError
from toprope.protocols import Baseline, TaskSpec
from toprope.types import Tree

TUNED = "tuned.json"


def load_spec(path: Path) -> TaskSpec:
    """The spec in a file. Raises UsageError with the file and the field if it is missing, malformed or out of range."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        for fault in _unknown(fields, TaskSpec):
            raise UsageError(f"{path}: {fault}")
        spec = msgspec.convert(fields, TaskSpec)
    except UsageError:
        raise
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from None
    for fault in _useless(spec):
        raise UsageError(f"{path}: {fault}")
    return spec


def _unknown(fields: dict[str, Any], kind: Any) -> Iterator[str]:
    """Unknown names, also in tables: a misspelt field would otherwise silently get its default."""
    known = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    for name, value in fields.items():
        if name not in known:
            yield f"unknown field {name[:80]!r}; known are {', '.join(known)}"
        elif isinstance(value, dict):
            for table in get_args(known[name]) or (known[name],):
                if isinstance(table, type(msgspec.Struct)):
                    yield from _unknown(value, table)


def _useless(spec: TaskSpec) -> Iterator[str]:
    s, limits = spec.splits, spec.limits
    if not s.rungs or s.rungs != sorted(set(s.rungs)):
        yield f"splits.rungs {s.rungs}; expected rising numbers of draws"
    counts = {name: getattr(s, name) for name in ("val_slice", "measure_slice", "test", "attempt_every", "generation")}
    counts |= {"rungs": min(s.rungs, default=0), "max_tree_bytes": spec.max_tree_bytes, "memory_mb": limits.memory_mb}
    if (m := spec.model) is not None:
        counts |= {"model.calls": m.calls, "model.prompt_bytes": m.prompt_bytes, "model.reply_tokens": m.reply_tokens}
    for name, n in counts.items():
        if not 1 <= n <= 10**9 - 1:
            yield f"{name} {n}; expected a whole number above 0 and below 1e9"
    sizes = {"limits.wall_s": limits.wall_s, "limits.cpu_s": limits.cpu_s}
    sizes |= {"metric.clip": spec.metric.clip, "metric.spread": spec.metric.spread}
    for name, x in sizes.items():
        if not 0 < x < 1e6:
            yield f"{name} {x}; expected a number above 0 and below 1e6"


def with_tuned(folder: Path, task_id: str, baselines: dict[str, Baseline]) -> dict[str, Baseline]:
    """The baselines, each followed by `NAME (tuned)` if tuned.json holds a result of `toprope reference --tune`."""
    path = folder / TUNED
    chosen = json.loads(path.read_text()).get(task_id, {}) if path.is_file() else {}
    found = {}
    for name, b in baselines.items():
        found[name] = b
        if name in chosen:
            found[f"{name} (tuned)"] = msgspec.structs.replace(b, params=chosen[name]["params"], tuned=True)
    return found


def load_tree(folder: Path) -> Tree:
    """The files of a candidate folder, without __pycache__ and hidden files. Raises UsageError for an empty folder."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    if not files:
        raise UsageError(f"{folder} holds no files; a candidate needs at least solution.py")
    return Tree(files)
