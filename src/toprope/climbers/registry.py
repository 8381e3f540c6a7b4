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


def names() -> list[str]:
    """Names `make` knows."""
    return sorted(CLIMBERS)


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
