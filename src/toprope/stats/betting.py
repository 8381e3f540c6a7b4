"""The gate's test: a mixture betting e-process on paired differences clipped to [-c, c].

Null: "the mean clipped difference is <= 0", and nothing else: no normality, no symmetry, no known variance. A gambler
starts with 1 and bets a fixed fraction lambda on every draw being positive, so wealth prod(1 + lambda S / c) is a
nonnegative supermartingale under the null; the mean over 40 fractions is one too, and it exceeds 1/alpha at *any* time
with probability at most alpha (Ville 1939). The test may look after every draw and stop at any time.

Not a t, sign or sign-flip test: those fail under a skewed null (`simulate.py` prints by how much).
Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024, sections 4 and 5;
a constant mixture instead of their adaptive bets, because it needs no tuning and does not depend on draw order.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.types import Floats

BETS: Floats = np.linspace(0.01, 0.98, 40)  # below 1, so that no single loss ends the game
ROWS = 64  # sequences at a time, so that the products of a chunk stay in cache
CHUNK = 64  # draws multiplied before taking a log: 0.02**64 and 1.98**64 are far inside a double


def log_e(differences: Floats, clip: float) -> float:
    """Log of the e-value of the paired differences (n,); evidence that their clipped mean is positive.

    Args:
        differences: candidate minus champion per draw, in the unit of the score; finite, any order.
        clip: c > 0, the declared range; larger differences count as c.
    """
    return float(log_e_path(np.atleast_2d(differences), clip)[0][0, -1]) if np.size(differences) else 0.0


def log_e_path(differences: Floats, clip: float, start: Floats | None = None) -> tuple[Floats, Floats]:
    """Log e-value after every draw, for k independent sequences at once.

    Args:
        differences: (k, n). clip: c > 0. start: (k, 40) log wealth per bet so far, zeros if None.

    Returns:
        (k, n) log e-values and the (k, 40) log wealth to continue from.
    """
    shares = _shares(differences, clip)
    k, n = shares.shape
    wealth = np.zeros((k, len(BETS))) if start is None else start.copy()
    path = np.empty((k, n))
    for row in range(0, k, ROWS):
        some = slice(row, row + ROWS)
        for at in range(0, n, CHUNK):
            now = slice(at, at + CHUNK)
            path[some, now], wealth[some] = _played(shares[some, now], wealth[some])
    return path, wealth


def _played(shares: Floats, wealth: Floats) -> tuple[Floats, Floats]:
    """One chunk: log e-values (k, m) after each draw and the log wealth (k, 40) after the last."""
    # factors in [0.02, 1.98]; products instead of 40 logs a draw make campaigns of 10^8 differences affordable
    growth = np.multiply.accumulate(1.0 + BETS[:, None] * shares[:, None, :], axis=2)
    top = wealth.max(axis=1, keepdims=True)
    weights = np.exp(wealth - top) / len(BETS)  # (k, 40)
    mixed = np.matmul(weights[:, None, :], growth)[:, 0]  # (k, m), > 0 because the top weight is 1/40
    return top + np.log(mixed), wealth + np.log(growth[:, :, -1])


def _shares(differences: Floats, clip: float) -> Floats:
    """Differences in units of the clip, in [-1, 1]. Raises UsageError for values that would make the test
    meaningless."""
    if not (math.isfinite(clip) and clip > 0):
        raise UsageError(f"clip = {clip}; expected a positive number in the unit of the score")
    values = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(values).all():
        raise UsageError("differences hold a non-finite number; score every draw before betting on it")
    return np.clip(values, -clip, clip) / clip


class Bet:
    """One attempt, fed draw by draw. Stops early for acceptance, and for futility (which can only lower the error).

    The answer depends only on the sequence of draws, not on how it is cut into chunks.
    """

    FUTILE_AFTER = 32  # draws
    FUTILE_BELOW = math.log(0.05)

    def __init__(self, clip: float, log_threshold: float, futility: bool = True) -> None:
        """log_threshold: log(1 / alpha of this attempt), see `spending`. clip: in the unit of the score."""
        self.clip = clip
        self.log_threshold = log_threshold
        self.futility = futility
        self.draws = 0
        self.log_e = 0.0
        self.promoted = False
        self.stopped = False
        self._wealth = np.zeros((1, len(BETS)))

    def update(self, differences: Floats) -> bool:
        """Adds the next draws; returns True while more draws could change the answer. After a stop, draws are
        ignored."""
        if self.stopped or not len(differences):
            return not self.stopped
        path, self._wealth = log_e_path(np.atleast_2d(differences), self.clip, self._wealth)
        used, self.promoted, self.stopped = _first_stop(
            path[0], self.draws, self.log_threshold, self.FUTILE_BELOW if self.futility else -math.inf
        )
        self.draws += used
        self.log_e = float(path[0, used - 1])
        return not self.stopped


def _first_stop(path: Floats, before: int, accept: float, futile: float) -> tuple[int, bool, bool]:
    """(draws used, promoted, stopped) at the first draw where the path leaves the corridor."""
    accepted = path >= accept
    hopeless = (path < futile) & (before + np.arange(1, len(path) + 1) >= Bet.FUTILE_AFTER)
    stops = np.flatnonzero(accepted | hopeless)
    if not len(stops):
        return len(path), False, False
    return int(stops[0]) + 1, bool(accepted[stops[0]]), True


def promoted(
    differences: Floats, clip: float, log_threshold: float | Floats, futility: bool = True
) -> NDArray[np.bool_]:
    """(k,) booleans: what `Bet` answers on each of k whole sequences (k, n). log_threshold: scalar or (k, 1)."""
    path, _ = log_e_path(differences, clip)
    accept = path >= log_threshold
    if futility:
        hopeless = path < Bet.FUTILE_BELOW
        hopeless[:, : Bet.FUTILE_AFTER - 1] = False
        accept &= ~np.logical_or.accumulate(hopeless, axis=1)
    return np.asarray(accept.any(axis=1))


def minimum_detectable(
    n: int, sd: float, clip: float, alpha: float, power: float = 0.8, *, repetitions: int = 400, seed: int = 0
) -> float:
    """Smallest true mean difference that n normal draws of this sd promote with this power; inf if none up to the clip.

    By simulation with common random numbers, so it is monotone and the same on every machine. Unit: that of the score.
    Standard error of the power it solves for: sqrt(power (1 - power) / repetitions), .02 at the defaults.
    """
    if not (n > 0 and sd >= 0 and 0 < alpha < 1 and 0 < power < 1):
        raise UsageError(f"n={n} sd={sd} alpha={alpha} power={power}; expected n > 0, sd >= 0, the others in (0, 1)")
    noise = sd * np.random.default_rng([seed, n]).standard_normal((repetitions, n))
    low, high = 0.0, clip

    def reaches(mean: float) -> bool:
        return bool(promoted(noise + mean, clip, math.log(1 / alpha)).mean() >= power)

    if not reaches(high):
        return math.inf
    for _ in range(10):  # to a thousandth of the clip
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def normal_detectable(n: int, sd: float, alpha: float, power: float = 0.8) -> float:
    """The same for an ideal test that knows the variance, for comparison with `minimum_detectable`."""
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * sd / math.sqrt(n)
