"""The starters as trusted code: a frozen population of protocols, or of attackers, is a list of their parameters.

Only points of the shipped starters can be frozen this way: they are this package's own files, so the referee may run
them in its own process. Rows of all variants are stacked, and nothing a starter does depends on other rows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.types import Json
from toprope_tasks.control.deployment import Deployment

HERE = Path(__file__).parent
STARTERS = {"act": HERE / "starter" / "solution.py", "attack": HERE / "attack" / "starter" / "solution.py"}
Params = Mapping[str, Json]


@functools.cache
def starter(name: str) -> dict[str, Any]:
    """What our own starter with the entry point `act` or `attack` defines."""
    module: dict[str, Any] = {}
    exec(compile(STARTERS[name].read_bytes(), str(STARTERS[name]), "exec"), module)
    return module


class Members:
    """A population at work on the lanes of k deployments: member i on the lanes where `member` is i, as many for
    each. They answer together, by the batched form."""

    def __init__(self, name: str, population: Sequence[Params], member: NDArray[np.int64], **given: Any) -> None:
        """given: public arrays that the starter takes by keyword."""
        module = starter(name)
        full = [{**module["DEFAULTS"], **params} for params in population]
        self._fn, self._given = module[f"{name}_batched"], given
        self._params = {name: np.array([params[name] for params in full]) for name in module["DEFAULTS"]}
        self._lanes = np.array([np.flatnonzero(member == i) for i in range(len(population))])
        self._states: list[Any] = [None] * len(population)

    def answer(self, seen: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        """Fills out (k, L, ...) from seen (k, L, columns)."""
        k, lanes = seen.shape[:2]
        rows = (self._lanes[:, None] + lanes * np.arange(k)[:, None]).reshape(len(self._lanes), -1)  # (members, k n)
        flat = seen.reshape(k * lanes, -1)
        said, self._states = self._fn(self._states, flat.take(rows, axis=0), params=self._params, **self._given)
        out.reshape(k * lanes, *out.shape[2:])[rows] = said
        return out


class Attacking:
    """A population of attackers: policy i of the deployments is its i-th member."""

    def __init__(self, population: Sequence[Params], view: Any, policy: NDArray[np.int64]) -> None:
        self._members, self._view = Members("attack", population, policy), view

    def strike(self, d: Deployment, at: slice) -> NDArray[np.bool_]:
        said = self._members.answer(self._view.seen(d), np.zeros(d.attack.shape, dtype=np.bool_))
        return said[:, :, at]
