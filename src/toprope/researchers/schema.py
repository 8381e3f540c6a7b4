"""The schema of a tool's arguments, from its signature and docstring, and the check of given arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

KINDS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    list[str]: {"type": "array", "items": {"type": "string"}},
}


def words(act: Callable[..., Any]) -> str:
    """The description of the tool: its docstring above `Args`."""
    return inspect.cleandoc(inspect.unwrap(act).__doc__ or "").partition("\n\nArgs:")[0]


def schema(act: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of its arguments; other arguments are refused."""
    bare = inspect.unwrap(act)
    hints, told = typing.get_type_hints(bare), _told(bare)
    found, needed = {}, []
    for name, p in list(inspect.signature(bare).parameters.items())[1:]:  # not self
        found[name] = {**KINDS[hints[name]], "description": told[name]}
        if p.default is p.empty:
            needed.append(name)
        else:
            found[name]["default"] = p.default
    return {"type": "object", "properties": found, "required": needed, "additionalProperties": False}


def wrong(name: str, takes: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Why the arguments do not fit the tool, in one line; empty if they do."""
    known: Mapping[str, Any] = takes["properties"]
    told = f"{name} takes {', '.join(known)}" if known else f"{name} takes no arguments"
    if missing := [n for n in takes["required"] if n not in given]:
        return f"argument {missing[0]!r} is missing; {told}"
    if more := [n for n in given if n not in known]:
        return f"argument {more[0][:80]!r} is unknown; {told}"
    for argument, value in given.items():
        if not _is(value, known[argument]):
            kind = "list of strings" if known[argument]["type"] == "array" else known[argument]["type"]
            return f"argument {argument!r} is a {type(value).__name__}; expected {kind}"
    return ""


def _is(value: Any, kind: Mapping[str, Any]) -> bool:
    if kind["type"] == "array":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return isinstance(value, str) if kind["type"] == "string" else type(value) is int


def _told(bare: Callable[..., Any]) -> dict[str, str]:
    """Argument -> its description in the docstring."""
    _, _, args = inspect.cleandoc(bare.__doc__ or "").partition("\n\nArgs:\n")
    pairs = (line.strip().partition(": ")[::2] for line in args.splitlines())
    return dict(pairs)
