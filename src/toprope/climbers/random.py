"""Independent uniform proposals, the baseline for other climbers. It learns nothing from results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Results
from toprope.space import Space
from toprope.types import Codes


class Random:
    """Row i of generation g is a function of (seed, g, i); a generation ends with a tell. The first row is the default.

    Duplicates are not avoided: in a large space they are rare, and checking for them costs more than they do.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._levels = space.sizes.astype(np.float32) + 1
        self._generation = 0
        self._first = True
        self._rng = np.random.default_rng([seed, 0])

    def ask(self, n: int) -> Codes:
        rows = uniform_rows(self._rng.random((n, len(self._levels)), dtype=np.float32), self._levels)
        if self._first and n:
            rows[0] = self.space.default()
            self._first = False
        return rows

    def tell(self, results: Results) -> None:
        self._generation += 1
        self._rng = np.random.default_rng([self.seed, self._generation])

    def state(self) -> int:
        """Everything that later proposals depend on, after a tell."""
        return self._generation

    def restore(self, state: int) -> None:
        self._generation, self._first = state, not state
        self._rng = np.random.default_rng([self.seed, state])


def uniform_rows(uniforms: NDArray[np.floating], levels: NDArray[np.floating]) -> Codes:
    """Converts (n, p) uniforms in [0, 1) to levels. float32 is exact enough: 2^24 steps for at most 256 levels."""
    return np.asarray((uniforms * levels).astype(np.uint8))
