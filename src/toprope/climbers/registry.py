"""Climbers by name: a dict from name to `module:Class`, imported only when asked for."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, cast

from toprope.errors import UsageError
from toprope.protocols import Climber
from toprope.space import Space
from toprope.types import Codes

CLIMBERS = {
    "random": "toprope.climbers.random:Random",
    "evolution": "toprope.climbers.evolution:Evolution",
    "replay": "toprope.climbers.replay:Replay",
}

AUTHORED = ("external", "llm")  # not asked for rows: authors bring candidates to a desk (`run/desk.py`)


def authored(name: str) -> bool:
    """Whether candidates come from authors under this name: `external`, `llm:PROVIDER/MODEL`."""
    return name.partition(":")[0] in AUTHORED


def names() -> list[str]:
    """Names `make` knows."""
    return sorted(CLIMBERS)


def known(name: str) -> None:
    """Raises UsageError, naming what exists, for an unknown climber; `replay` needs its file: `replay:FILE`."""
    kind, _, file = name.partition(":")
    if kind not in CLIMBERS:
        raise UsageError(f"climber {name!r} is unknown; choose one of {', '.join(names())}")
    if (kind == "replay") != bool(file):
        raise UsageError(f"climber {name!r}; expected replay:FILE with an export of a run, or a name without a file")


def make(name: str, space: Space, seed: int, starts: Codes | None = None, **options: Any) -> Climber:
    """A climber for this space. starts: rows worth proposing first, for climbers that take a hint. options: keyword
    arguments of its class.

    Raises UsageError for an unknown name, option or option value.
    """
    if name not in CLIMBERS:
        raise UsageError(f"climber {name!r} is unknown; choose one of {', '.join(names())}")
    module, _, attribute = CLIMBERS[name].partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    known = list(inspect.signature(cls).parameters)[2:]
    for option in options:
        if option not in known:
            raise UsageError(f"climber {name!r} has no option {option!r}; it has {', '.join(known) or 'none'}")
    if starts is not None and "starts" in known:
        options["starts"] = starts
    return cast(Climber, cls(space, seed, **options))
