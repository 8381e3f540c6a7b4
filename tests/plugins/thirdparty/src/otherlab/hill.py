"""Steps by one level from the best row so far."""

import numpy as np

from toprope.protocols import Results
from toprope.space import Space
from toprope.types import Codes, Outcome


class Hill:
    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.rng = space, np.random.default_rng(seed)
        self.best, self.value, self.first = space.default(), -np.inf, True

    def ask(self, n: int) -> Codes:
        rows = np.repeat(self.best[None], n, axis=0)
        which = self.rng.integers(0, len(self.space.dims), n)
        step = self.rng.choice([-1, 1], n)
        old = rows[np.arange(n), which].astype(int)
        rows[np.arange(n), which] = np.clip(old + step, 0, self.space.sizes[which]).astype(np.uint8)
        if self.first and n:
            rows[0], self.first = self.space.default(), False
        return rows

    def tell(self, results: Results) -> None:
        for row, value, outcome in zip(results.rows, results.values, results.outcomes, strict=True):
            if outcome is Outcome.OK and value > self.value:
                self.best, self.value = row.copy(), float(value)
