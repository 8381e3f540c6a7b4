"""Exact tails without scipy: regularised incomplete beta, its inverse, Clopper-Pearson bounds, Student quantiles.

The continued fraction is Abramowitz & Stegun 26.5.8 evaluated by Lentz's method (Numerical Recipes, section 6.4).
`scipy.stats` takes over a second to import; the tests compare every function here with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from toprope.errors import UsageError


def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) for a, b > 0 and x in [0, 1]."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):  # here the fraction converges fast; otherwise use the symmetry
        return math.exp(log_front) * _fraction(a, b, x) / a
    return 1.0 - math.exp(log_front) * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1), tiny)
    h = d
    for m in range(1, 10_000):  # needs O(sqrt(max(a, b))) steps
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d, tiny)
            c = _away(1.0 + term / c, tiny)
            h *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return h


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def binomial_upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), accurate far into the tail."""
    return 1.0 if k <= 0 else 0.0 if k > n else incomplete_beta(k, n - k + 1, p)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval for a proportion after k successes in n; each bound alone holds at (1 + level) / 2."""
    if not (0 <= k <= n and n > 0 and 0 < level < 1):
        raise UsageError(f"k={k} n={n} level={level}; expected 0 <= k <= n, n > 0, level in (0, 1)")
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else _bisect(lambda p: incomplete_beta(k, n - k + 1, p) - tail)
    high = 1.0 if k == n else _bisect(lambda p: incomplete_beta(k + 1, n - k, p) - (1 - tail))
    return low, high


def student_quantile(q: float, freedom: float) -> float:
    """Quantile of Student's t, from I_x(freedom / 2, 1/2) = P(|T| > t) with x = freedom / (freedom + t^2)."""
    if not (0 < q < 1 and freedom > 0):
        raise UsageError(f"q={q} freedom={freedom}; expected q in (0, 1) and freedom > 0")
    if q == 0.5:
        return 0.0
    x = _bisect(lambda x: incomplete_beta(freedom / 2, 0.5, x) - 2 * min(q, 1 - q))
    return math.copysign(math.sqrt(freedom * (1 - x) / x), q - 0.5)


def _bisect(rising: Callable[[float], float]) -> float:
    """Root in (0, 1) of a rising function."""
    low, high = 0.0, 1.0
    while high - low > 1e-15 * max(high, 1e-300) and (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if rising(middle) >= 0 else (middle, high)
    return (low + high) / 2
