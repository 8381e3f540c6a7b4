"""The gate's promises, simulated on its functions alone: level, power, smallest gain (docs/statistics.md).

A campaign is one climber that sends candidates that are in truth no better until its first PROMOTE or the end of its
attempts. Until then it has heard only NOT YET, so whatever it does is a fixed list of candidates, and simulating the
list is simulating the adaptive attacker. Nulls have clipped mean exactly 0, the worst case the promise allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from toprope.stats.betting import minimum_detectable, promoted
from toprope.stats.spending import attempt_level
from toprope.stats.tails import binomial_upper_tail, clopper_pearson, student_quantile
from toprope.types import Floats

CLIP = 0.1  # accuracy
SLICE = 640
GAIN, SD = 0.019, 0.026  # a PGR gain of .10 and a paired sd of .135, times the usual gap of .19

Null = Callable[[np.random.Generator, int, int], Floats]  # (rng, attempts, draws) -> (attempts, draws), mean 0


def normal(rng: np.random.Generator, k: int, n: int) -> Floats:
    """Independent candidates as good as the champion."""
    return np.asarray(SD * rng.standard_normal((k, n)))


def correlated(rng: np.random.Generator, k: int, n: int) -> Floats:
    """Variants of one idea: 90 % of the variance is shared between attempts on the slice."""
    shared, own = rng.standard_normal((1, n)), rng.standard_normal((k, n))
    return np.asarray(SD * (math.sqrt(0.9) * shared + math.sqrt(0.1) * own))


def rare_losses(rng: np.random.Generator, k: int, n: int) -> Floats:
    """5 % of draws lose .095, the others win .005: what breaks t, sign and sign-flip tests."""
    return np.where(rng.random((k, n)) < 0.05, -0.095, 0.005)


def rare_wins(rng: np.random.Generator, k: int, n: int) -> Floats:
    """The mirror image: 5 % of draws win .095."""
    return np.where(rng.random((k, n)) < 0.05, 0.095, -0.005)


def coin(rng: np.random.Generator, k: int, n: int) -> Floats:
    """Every draw wins or loses the whole clip: the largest variance there is."""
    return np.where(rng.random((k, n)) < 0.5, CLIP, -CLIP)


def drifting(rng: np.random.Generator, k: int, n: int) -> Floats:
    """An attacker walking from attempt to attempt, changing its answers on a tenth of the draws each time."""
    out = normal(rng, k, n)
    fresh = rng.random((k, n)) < 0.1
    fresh[0] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(k)[:, None], 0), axis=0)  # when each draw last changed
    return np.take_along_axis(out, last, axis=0)


NULLS: dict[str, Null] = {f.__name__: f for f in (normal, correlated, rare_losses, rare_wins, coin, drifting)}


def false_promotions(null: Null, campaigns: int, attempts: int, draws: int = SLICE, seed: int = 0) -> int:
    """Campaigns out of `campaigns` in which any candidate was promoted, on the first slice of the first run."""
    levels = np.array([attempt_level(1, 1, i) for i in range(1, attempts + 1)])[:, None]
    rng = np.random.default_rng([seed, sum(map(ord, null.__name__))])
    return sum(bool(promoted(null(rng, attempts, draws), CLIP, levels).any()) for _ in range(campaigns))


def single_test_errors(null: Null, trials: int, alpha: float, draws: int = 128, seed: int = 0) -> dict[str, float]:
    """How often each test says yes at level alpha to one candidate with mean difference 0."""
    sample = null(np.random.default_rng([seed, 1]), trials, draws)
    t = sample.mean(axis=1) / np.maximum(sample.std(axis=1, ddof=1), 1e-12) * math.sqrt(draws)
    needed = next(k for k in range(draws + 2) if binomial_upper_tail(k, draws, 0.5) <= alpha)
    return {
        "betting": float(promoted(sample, CLIP, math.log(1 / alpha)).mean()),
        "t": float((t > student_quantile(1 - alpha, draws - 1)).mean()),
        "sign": float(((sample > 0).sum(axis=1) >= needed).mean()),
    }


def power(trials: int, attempt: int, draws: int = SLICE, futility: bool = True, seed: int = 0) -> float:
    """Share of candidates that are truly better by GAIN which are promoted at this attempt number."""
    sample = GAIN + SD * np.random.default_rng([seed, attempt]).standard_normal((trials, draws))
    return float(promoted(sample, CLIP, attempt_level(1, 1, attempt), futility).mean())


def main(*, campaigns: int = 2000, attempts: int = 200, draws: int = SLICE) -> None:
    print(f"False promotion in {campaigns} campaigns of {attempts} attempts, slice {draws}; promise 5 %")
    for name, null in NULLS.items():
        wrong = false_promotions(null, campaigns, attempts, draws)
        lo, hi = clopper_pearson(wrong, campaigns)
        print(f"  {name:12s} {wrong / campaigns:7.4f}  [{lo:.4f}, {hi:.4f}]", flush=True)
    print("One test at level .001, 128 draws, 20000 trials with mean difference 0")
    for name in ("normal", "rare_losses"):
        errors = single_test_errors(NULLS[name], 20_000, 0.001)
        print(f"  {name:12s} " + "  ".join(f"{test} {rate:.4f}" for test, rate in errors.items()))
    print(f"Power for a gain of {GAIN} accuracy (.10 PGR), sd {SD}, slice {draws}, 2000 trials")
    for attempt in (1, 1000, 10**6):
        print(f"  attempt {attempt:8d}: {power(2000, attempt, draws):.3f}"
              f"  without futility stop {power(2000, attempt, draws, futility=False):.3f}")  # fmt: skip
    print("Smallest gain in accuracy found with power .8")
    for attempt in (1, 1000, 10**6):
        alpha = math.exp(-attempt_level(1, 1, attempt))
        print(f"  attempt {attempt:8d}: {minimum_detectable(draws, SD, CLIP, alpha):.4f}")
