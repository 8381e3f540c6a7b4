"""Climbers by name, from the entry points of installed packages, including ours. Imported only when used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from toprope import plugins
from toprope.errors import UsageError
from toprope.protocols import Climber, Results
from toprope.space import Space
from toprope.types import Codes

OURS = "toprope.climbers."


def names() -> list[str]:
    """Names that `make` accepts."""
    return sorted(plugins.registered(plugins.CLIMBERS))


def make(name: str, space: Space, seed: int, starts: Codes | None = None, **options: Any) -> Climber:
    """A climber for this space, by name. starts: (m, p) rows to propose first, for climbers that accept them. options:
    keyword arguments of its class.

    Raises UsageError for an unknown name, option or option value, and for a class that cannot be loaded or made.
    """
    plugin = plugins.find(plugins.CLIMBERS, name)
    if plugin is None:
        raise UsageError(f"climber {name!r} is unknown; choose one of {', '.join(names())}")
    made = _made(plugin.load(), str(plugin), space, seed, starts, options)
    return made if plugin.target.startswith(OURS) else Checked(made, str(plugin), space)


def imported(target: str, space: Space, seed: int, starts: Codes | None = None) -> Climber:
    """A climber of the user's own, MODULE:CLASS. Call it only with a name from the user's command line. Raises
    UsageError."""
    what = f"climber {target!r}"
    cls = plugins.imported(target, what, "install its module, or put its folder on PYTHONPATH")
    return Checked(_made(cls, what, space, seed, starts, {}), what, space)


def _made(
    cls: Callable[..., Any], what: str, space: Space, seed: int, starts: Codes | None, options: dict[str, Any]
) -> Climber:
    try:
        known = list(inspect.signature(cls).parameters)[2:]
        for option in options:
            if option not in known:
                raise UsageError(f"{what} has no option {option!r}; it has {', '.join(known) or 'none'}")
        if starts is not None and "starts" in known:
            options = {**options, "starts": starts}
        made: Climber = cls(space, seed, **options)
    except UsageError:
        raise
    except Exception as e:
        raise UsageError(f"{what} cannot be made: {_said(e)}; it is called with a space and a seed") from e
    for method in ("ask", "tell"):
        if not callable(getattr(made, method, None)):
            raise UsageError(f"{what} has no method {method}; see toprope.protocols.Climber")
    return made


class Checked:
    """A climber from another package: its proposals are checked, and its exceptions become one line."""

    def __init__(self, climber: Climber, what: str, space: Space) -> None:
        self._climber, self._what, self._space = climber, what, space

    def ask(self, n: int) -> Codes:
        """Raises UsageError for rows that are not points of the space, and for more rows than were asked for."""
        rows = self._guarded(f"ask({n})", lambda: self._climber.ask(n))
        p = len(self._space.dims)
        if not (isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and rows.ndim == 2 and rows.shape[1] == p):
            got = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
            raise UsageError(f"{self._what}: ask({n}) gave {got}; expected a uint8 array of shape (n, {p})")
        if len(rows) > n or (rows > self._space.sizes).any():
            raise UsageError(
                f"{self._what}: ask({n}) gave {len(rows)} rows, levels up to {rows.max(axis=0, initial=0).tolist()}; "
                f"expected {n} rows at most, levels up to {self._space.sizes.tolist()}"
            )
        return rows

    def tell(self, results: Results) -> None:
        self._guarded("tell(results)", lambda: self._climber.tell(results))

    def _guarded(self, call: str, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except Exception as e:
            raise UsageError(f"{self._what}: {call} raised {_said(e)}; repair it, then `toprope resume` the run") from e


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
