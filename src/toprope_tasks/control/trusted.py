"""The starters as trusted code: a frozen population of protocols, or of attackers, is a list of their parameters.

Only points of the shipped starters can be frozen this way: they are this package's own files, so the referee may run
them in its own process. Rows of all variants are stacked, and nothing a starter does depends on other rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
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
def starter(name: str) -> Callable[..., tuple[NDArray[Any], Any]]:
    """The entry point `act` or `attack` of our own starter."""
    module: dict[str, Any] = {}
    exec(compile(STARTERS[name].read_bytes(), str(STARTERS[name]), "exec"), module)
    found: Callable[..., tuple[NDArray[Any], Any]] = module[name]
    return found


class Members:
    """A population at work on the lanes of k deployments: member i on the lanes where `member` is i."""

    def __init__(self, name: str, population: Sequence[Params], member: NDArray[np.int64], **given: Any) -> None:
        """given: public arrays that the starter takes by keyword."""
        self._fn, self._population, self._given = starter(name), population, given
        self._lanes = [np.flatnonzero(member == i) for i in range(len(population))]
        self._states: list[Any] = [None] * len(population)

    def answer(self, seen: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        """Fills out (k, L, ...) from seen (k, L, columns). rng is given for form: a population uses none."""
        for i, lanes in enumerate(self._lanes):
            rows = seen[:, lanes].reshape(-1, seen.shape[-1])
            said, self._states[i] = self._fn(
                self._states[i], rows, params=self._population[i], rng=np.random.default_rng(0), **self._given
            )
            out[:, lanes] = said.reshape(len(seen), len(lanes), *out.shape[2:])
        return out


class Attacking:
    """A population of attackers: policy i of the deployments is its i-th member."""

    def __init__(self, population: Sequence[Params], view: Any, policy: NDArray[np.int64]) -> None:
        self._members, self._view = Members("attack", population, policy), view

    def strike(self, d: Deployment, at: slice) -> NDArray[np.bool_]:
        said = self._members.answer(self._view.seen(d), np.zeros(d.attack.shape, dtype=np.bool_))
        return said[:, :, at]
