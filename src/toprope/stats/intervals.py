"""Values with intervals: the normalised score as a ratio of sums, paired differences, rank correlation.

value = sum(score - floor) / sum(ceiling - floor) over draws, not a mean of ratios: in that, draws with a small gap
would have the largest weight, and it is biased upward by .01-.05 on our tasks (measured). The sampling unit is the
draw. In tests that claim something about cells or checkpoints, draws are nested in these, and each level is resampled
(nested bootstrap, Davison & Hinkley 1997, section 3.8). With one checkpoint its level cannot be resampled; the claim is
then about that checkpoint.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from toprope.errors import UsageError
from toprope.stats.tails import student_quantile
from toprope.types import Floats


class Estimate(msgspec.Struct, frozen=True):
    """A value, its interval and standard error, all in one unit."""

    value: float
    lo: float
    hi: float
    se: float

    @property
    def brief(self) -> str:
        """The value and its interval with three decimals."""
        return f"{self.value:.3f} [{self.lo:.3f}, {self.hi:.3f}]"


def told(value: float, se: float, digits: int = 4) -> str:
    """A value as it is always shown: ± is one standard error, and the text says so."""
    return f"{value:.{digits}f} ± {se:.{digits}f} (standard error)"


def ratio(
    scores: ArrayLike,
    floors: ArrayLike,
    ceilings: ArrayLike,
    level: float = 0.95,
    *,
    method: Literal["bootstrap", "delta"] = "bootstrap",
    cells: NDArray[np.int64] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Ratio of sums over n draws with an interval.

    Args:
        scores, floors, ceilings: (n,) or scalars, in the unit of the score.
        method: percentile bootstrap, or the delta method with Student's quantile (n draws or n outermost cells).
        cells: (n,) or (n, levels) ids of what the draws are nested in, outermost first; None: draws are independent.
    """
    score, floor, ceiling = (np.asarray(x, dtype=np.float64) for x in (scores, floors, ceilings))
    gains, gaps = np.broadcast_arrays(score - floor, ceiling - floor)
    n = _check(gains, gaps, level)
    ids = np.arange(n)[:, None] if cells is None else np.asarray(cells).reshape(n, -1)
    value = float(gains.sum() / gaps.sum())
    if method == "delta":
        return _delta(value, gains - value * gaps, float(gaps.sum()), ids[:, 0], level)
    weights = nested_weights(ids, resamples, np.random.default_rng(seed))
    below = weights @ gaps
    if (below <= 0).any():
        raise UsageError("some resamples have no gap between floor and ceiling; use more draws or method='delta'")
    values = weights @ gains / below
    lo, hi = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(lo), float(hi), float(values.std(ddof=1)))


def difference(
    a: ArrayLike, b: ArrayLike, floors: ArrayLike, ceilings: ArrayLike, level: float = 0.95, **options: object
) -> Estimate:
    """Normalised value of a minus that of b, paired by draw: what `ratio` gives for the differences. Same options."""
    below = np.asarray(ceilings, dtype=np.float64) - np.asarray(floors, dtype=np.float64)
    return ratio(np.asarray(a, dtype=np.float64) - np.asarray(b), 0.0, below, level, **options)  # type: ignore[arg-type]


def spearman(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Estimate:
    """Rank correlation, ties at their mean rank; Fisher interval with the variance of Bonett & Wright 2000. n >= 4."""
    a, b = ranks(np.asarray(x)), ranks(np.asarray(y))
    if len(a) != len(b) or len(a) < 4:
        raise UsageError(f"{len(a)} and {len(b)} values; rank correlation needs pairs, and at least 4 of them")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise UsageError("all values on one side are equal; their rank correlation is undefined")
    r = float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))
    se = math.sqrt((1 + r * r / 2) / (len(a) - 3))
    z, width = math.atanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)), NormalDist().inv_cdf((1 + level) / 2) * se
    return Estimate(r, math.tanh(z - width), math.tanh(z + width), (1 - r * r) * se)


def ranks(values: NDArray[np.generic]) -> Floats:
    """(n,) ranks from 1, ties at their mean rank."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[which], dtype=np.float64)


def nested_weights(ids: NDArray[np.int64], resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, n) counts of each draw under nested resampling with replacement; rows sum to n in the mean.

    ids: (n, levels), outermost first. A unit drawn w times resamples its m parts w times independently, and w
    independent multinomials of m are one multinomial of w m: hence one call per unit.
    """
    n = len(ids)
    out = np.empty((resamples, n))

    def split(members: NDArray[np.int64], depth: int, times: NDArray[np.int64]) -> None:
        parts = [members[[j]] for j in range(len(members))]
        if depth < ids.shape[1]:
            here = ids[members, depth]
            parts = [members[here == name] for name in np.unique(here)]
        m = len(parts)
        counts = rng.multinomial(times * m, np.full(m, 1 / m)) if m > 1 else times[:, None]  # (resamples, m)
        if all(len(part) == 1 for part in parts):
            out[:, np.concatenate(parts)] = counts
            return
        for part, count in zip(parts, counts.T, strict=True):
            split(part, depth + 1, np.ascontiguousarray(count))

    split(np.arange(n), 0, np.ones(resamples, dtype=np.int64))
    return out


def _delta(value: float, residuals: Floats, below: float, outer: NDArray[np.int64], level: float) -> Estimate:
    """Linearised ratio: residuals summed within the outermost unit, their variance between units."""
    _, which = np.unique(outer, return_inverse=True)
    sums = np.bincount(which, weights=residuals)
    m = len(sums)
    if m < 2:
        raise UsageError("one draw or one cell has no variance; use at least 2")
    se = math.sqrt(m / (m - 1) * float(sums @ sums)) / below
    width = student_quantile((1 + level) / 2, m - 1) * se
    return Estimate(value, value - width, value + width, se)


def _check(gains: Floats, gaps: Floats, level: float) -> int:
    if gains.ndim != 1 or len(gains) == 0:
        raise UsageError(f"scores have shape {gains.shape}; expected one per draw, (n,) with n >= 1")
    if not (np.isfinite(gains).all() and np.isfinite(gaps).all()):
        raise UsageError("scores, floors or ceilings hold a non-finite number")
    if gaps.sum() <= 0:
        raise UsageError(f"sum of ceiling - floor is {gaps.sum():.3g}; without a gap a normalised value cannot exist")
    if not 0 < level < 1:
        raise UsageError(f"level = {level}; expected a number in (0, 1)")
    return len(gains)
