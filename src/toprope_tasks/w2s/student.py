"""The referee's student: a logistic probe, fitted for many variants at once on the targets each of them returned.

minimise over (w, b):  sum_i u_i CE(sigmoid(x_i w + b), t_i) / sum_i u_i + l2/2 |w|^2,    l2 = 1e-3

x are pool features, standardised per column and rotated to their principal axes, where the Gram matrix is diagonal. So
Boehning's bound on the Hessian (Ann. Inst. Stat. Math. 44, 1992), X'UX / 4, gives a diagonal preconditioner, and
Nesterov's method with restarts (O'Donoghue & Candes 2015) needs a few dozen steps of two matrix products for all
variants together. Float64 with a fixed number of steps: a variant's score does not depend on its neighbours in a block.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.types import Floats

L2 = 1e-3
STEPS = 40
MAX_WEIGHT = (
    20.0  # weights above this many times their mean are cut: the bound, and so the step, depends on the largest
)


class Basis(msgspec.Struct, frozen=True):
    """Pool features in principal axes and how to bring other rows there. rows: (n, d); energy: (d,) mean squares.

    rows are kept as float32, half the memory of a draw; all arithmetic is float64.
    """

    mean: Floats
    turn: Floats
    rows: NDArray[np.float32]
    energy: Floats

    def apply(self, features: NDArray[Any]) -> Floats:
        """(k, d) coordinates of any rows."""
        return np.asarray((features - self.mean) @ self.turn, dtype=np.float64)


class Probe(msgspec.Struct, frozen=True):
    """Fitted probes of k variants: coef (k, d), bias (k,), in the coordinates of their basis."""

    coef: Floats
    bias: Floats

    def probabilities(self, base: Basis, features: NDArray[Any]) -> Floats:
        """(k, rows) probability of class 1 of raw features, whose coordinates need not be made for that."""
        raw = self.coef @ base.turn.T  # (k, d)
        return _sigmoid(raw @ features.astype(np.float64).T + (self.bias - raw @ base.mean)[:, None])


def basis(features: NDArray[Any]) -> Basis:
    """Standardise the columns of (n, d) features and rotate to principal axes."""
    x = np.asarray(features, dtype=np.float64)
    mean, sd = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / sd
    _, axes = np.linalg.eigh(z.T @ z)
    rows = (z @ axes).astype(np.float32)
    return Basis(mean, axes / sd[:, None], rows, np.mean(rows.astype(np.float64) ** 2, 0))


def fit(base: Basis, targets: NDArray[Any], weights: NDArray[Any], l2: float = L2, steps: int = STEPS) -> Probe:
    """Fit k probes at once. targets: (k, n) in [0, 1]; weights: (k, n), >= 0; a row of zeros counts as all ones."""
    x, t = base.rows.astype(np.float64), np.asarray(targets, dtype=np.float64)  # (n, d), (k, n)
    turned = np.ascontiguousarray(x.T)
    u = normalised(weights)  # (k, n), rows sum to one
    bound = 0.25 * len(x) * u.max(1)  # Boehning: X'UX <= n max(u) X'X / n
    step = 1.0 / (bound[:, None] * base.energy + l2)  # (k, d)
    coef, bias = np.zeros((len(t), x.shape[1])), np.zeros(len(t))
    ahead, ahead_bias, momentum, half = coef, bias, np.ones(len(t)), 0.5 - t
    for _ in range(steps):
        residual = ahead @ turned  # becomes u * (sigmoid - t) in place: fresh memory would cost as much as the sums
        residual += ahead_bias[:, None]
        residual *= 0.5
        np.tanh(residual, out=residual)
        residual *= 0.5
        residual += half
        residual *= u
        slope, slope_bias = residual @ x + l2 * ahead, residual.sum(1)
        new, new_bias = ahead - step * slope, ahead_bias - slope_bias / bound
        moved, moved_bias = new - coef, new_bias - bias
        uphill = np.sum(slope * moved, 1) + slope_bias * moved_bias > 0
        following = np.where(uphill, 1.0, 0.5 * (1 + np.sqrt(1 + 4 * momentum**2)))
        pull = np.where(uphill, 0.0, (momentum - 1) / following)
        ahead, ahead_bias = new + pull[:, None] * moved, new_bias + pull * moved_bias
        coef, bias, momentum = new, new_bias, following
    return Probe(coef, bias)


def newton(x: NDArray[Any], t: NDArray[Any], l2: float, steps: int = 8) -> Floats:
    """(d + 1,) coefficients and bias of one unweighted probe on raw columns: for few columns, and as a reference."""
    a = np.column_stack([np.asarray(x, dtype=np.float64), np.ones(len(x))])
    penalty = np.append(np.full(x.shape[1], l2), 0.0)
    beta = np.zeros(a.shape[1])
    for _ in range(steps):
        p = _sigmoid(a @ beta)
        hessian = (a.T * (p * (1 - p) / len(a))) @ a + np.diag(penalty + 1e-9)
        beta -= np.linalg.solve(hessian, a.T @ (p - t) / len(a) + penalty * beta)
    return beta


def probe(beta: Floats, x: NDArray[Any]) -> Floats:
    """(n,) probabilities of class 1 from coefficients of `newton`."""
    return _sigmoid(x @ beta[:-1] + beta[-1])


def normalised(weights: NDArray[Any]) -> Floats:
    """(k, n) weights whose rows sum to one, cut at MAX_WEIGHT times their mean; a row of zeros counts as ones."""
    u = np.asarray(weights, dtype=np.float64)
    u = np.where(u.sum(1, keepdims=True) > 0, u, 1.0)
    u = u / u.max(1, keepdims=True)  # before the mean, so that huge or tiny weights neither overflow nor vanish
    u = np.minimum(u, MAX_WEIGHT * u.mean(1, keepdims=True))
    return np.asarray(u / u.sum(1, keepdims=True), dtype=np.float64)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)), dtype=np.float64)
