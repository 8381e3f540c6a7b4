"""Ways to answer a query about n hidden labels. A query is a 0/1 prediction (n,), or a matrix of them, one a row."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toprope.stats.betting import Bet
from toprope.stats.spending import attempt_level
from toprope.types import Floats

Bits = NDArray[np.int8]


class Scores(Protocol):
    """Tells a number for every prediction."""

    n: int

    def scores(self, predictions: Bits) -> Floats:
        """(k, n) -> (k,) what is told; NaN: nothing."""


class Exact:
    """The plain leaderboard: accuracy as it is."""

    def __init__(self, labels: Bits) -> None:
        self._labels, self.n = labels, len(labels)

    def scores(self, predictions: Bits) -> Floats:
        return np.asarray(np.mean(predictions == self._labels, axis=1), dtype=np.float64)


class Rounded(Exact):
    """Accuracy to so many decimals."""

    def __init__(self, labels: Bits, decimals: int) -> None:
        super().__init__(labels)
        self._decimals = decimals

    def scores(self, predictions: Bits) -> Floats:
        return super().scores(predictions).round(self._decimals)


class Noisy(Exact):
    """Accuracy plus Laplace noise, for at most `budget` queries.

    Thresholdout (Dwork et al., Science 2015) is this against an attacker who pins the train mean away from the holdout,
    so that every query is answered until the budget is gone; then it says nothing new.
    """

    def __init__(self, labels: Bits, scale: float, rng: np.random.Generator, budget: int | None = None) -> None:
        super().__init__(labels)
        self._scale, self._rng, self._left = scale, rng, math.inf if budget is None else budget

    def scores(self, predictions: Bits) -> Floats:
        told = super().scores(predictions) + self._rng.laplace(scale=self._scale, size=len(predictions))
        told[int(min(self._left, len(told))) :] = np.nan
        self._left -= min(self._left, len(told))
        return told


class Yes(Protocol):
    """Tells one bit: better than the best so far, or not. What was better becomes the best."""

    n: int

    def better(self, prediction: Bits) -> bool: ...


class Ladder(Exact):
    """Blum & Hardt 2015 (arXiv:1502.04585): a new best is told only if it is better by more than eta.

    eta None: the parameter-free form, one standard error of the paired differences (population sd).
    """

    def __init__(self, labels: Bits, eta: float | None, start: Bits) -> None:
        super().__init__(labels)
        self._eta, self._best = eta, np.asarray(start == labels, dtype=np.int8)
        self._accuracy = float(self._best.mean())

    def better(self, prediction: Bits) -> bool:
        right = (prediction == self._labels).astype(np.int8)
        gain = float(right.mean()) - self._accuracy
        margin = self._eta
        if margin is None:
            share = np.count_nonzero(right != self._best) / self.n  # mean of the squared differences
            margin = math.sqrt(max(share - gain * gain, 0.0) / self.n)
        if gain <= margin:
            return False
        self._best, self._accuracy = right, self._accuracy + gain
        return True


class OneBitGate:
    """Ours: a paired betting test at a level spent over attempts; after a yes the labels are burned, new ones come.

    The very functions of the referee, on items instead of draws: clip 1, one look at the end of the slice's items.
    """

    def __init__(self, labels: Bits, start: Bits, rng: np.random.Generator) -> None:
        self.labels, self.n, self._rng = labels, len(labels), rng
        self._champion, self._slice, self._attempt = start, 1, 0
        self.promotions = 0

    def better(self, prediction: Bits) -> bool:
        self._attempt += 1
        bet = Bet(1.0, attempt_level(1, self._slice, self._attempt))
        ours, theirs = prediction == self.labels, self._champion == self.labels
        bet.update(ours.astype(np.float64) - theirs)
        if not bet.promoted:
            return False
        self._champion, self.promotions = prediction.copy(), self.promotions + 1
        self.labels = self._rng.integers(0, 2, self.n).astype(np.int8)
        self._slice, self._attempt = self._slice + 1, 0
        return True
