"""Intervals: against scipy, and by coverage in simulation."""

import math

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.stats.intervals import difference, nested_weights, ranks, ratio, spearman
from toprope.stats.tails import binomial_upper_tail, clopper_pearson, incomplete_beta, student_quantile


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0, 200.0, 5000.0])
@pytest.mark.parametrize("b", [0.5, 2.0, 30.0, 2000.0])
def test_incomplete_beta_is_scipys(a: float, b: float) -> None:
    """Within 1e-9 relative over five orders of magnitude of arguments, deep tails included."""
    from scipy import special

    for x in (1e-6, 0.01, 0.3, a / (a + b), 0.7, 0.999):
        assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-280)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (1, 2000), (76, 2000), (500, 1000)])
def test_clopper_pearson_is_scipys(k: int, n: int) -> None:
    """Exact bounds agree with scipy at the edges and in the middle."""
    from scipy import stats

    reference = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(k, n) == pytest.approx((reference.low, reference.high), abs=1e-10)


def test_far_binomial_tail_is_scipys() -> None:
    """The tail that makes an incident certain (<= 1e-9) is right far beyond that."""
    from scipy import stats

    for k, n, p in ((60, 100, 0.25), (30, 40, 0.1), (0, 5, 0.5), (6, 5, 0.5)):
        assert binomial_upper_tail(k, n, p) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-8)


def test_student_quantile_is_scipys() -> None:
    """Quantiles of Student's t agree from 1 to 10,000 degrees of freedom."""
    from scipy import stats

    for q, freedom in ((0.975, 1), (0.025, 3), (0.999, 127), (0.5, 4), (0.95, 10_000)):
        assert student_quantile(q, freedom) == pytest.approx(stats.t.ppf(q, freedom), rel=1e-7, abs=1e-12)


def test_ratio_is_of_sums() -> None:
    """A draw with twice the gap counts twice; the mean of ratios would say .75 here."""
    assert ratio([1.0, 1.0], [0.0, 0.0], [1.0, 2.0]).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_ratio_interval_covers(method: str) -> None:
    """95 % intervals of a ratio with random gaps cover the truth in 92 to 97.5 % of 500 samples of 96 draws."""
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(500):
        gaps = rng.gamma(4, 0.05, 96)
        scores = 0.4 * gaps + rng.normal(0, 0.03, 96)
        e = ratio(scores, 0.0, gaps, method=method, resamples=400, seed=seed)
        hits += e.lo <= 0.4 <= e.hi
    assert 0.92 <= hits / 500 <= 0.975


def test_cells_widen_the_interval() -> None:
    """When draws of a cell share an effect, resampling cells covers where resampling draws does not (200 samples)."""
    rng = np.random.default_rng(1)
    cells = np.repeat(np.arange(24), 8)
    hits = {"cells": 0, "draws": 0}
    for seed in range(200):
        scores = 0.4 + rng.normal(0, 0.1, 24)[cells] + rng.normal(0, 0.1, 192)
        for name, ids in (("cells", cells), ("draws", None)):
            e = ratio(scores, 0.0, 1.0 + 0 * scores, cells=ids, resamples=400, seed=seed)
            hits[name] += e.lo <= 0.4 <= e.hi
    assert hits["cells"] >= 180
    assert hits["draws"] <= 150


def test_nested_weights_resample_every_level() -> None:
    """Weights have mean one, and whole checkpoints, cells and draws are missing in some resamples."""
    ids = np.stack([np.repeat([0, 1, 2], 8), np.repeat(np.arange(6), 4)], axis=1)
    w = nested_weights(ids, 4000, np.random.default_rng(0))
    assert w.mean(axis=0) == pytest.approx(np.ones(24), abs=0.12)
    checkpoint, cell = w[:, :8].sum(axis=1), w[:, :4].sum(axis=1)
    assert (checkpoint == 0).mean() == pytest.approx((2 / 3) ** 3, abs=0.03)
    assert ((cell == 0) & (checkpoint > 0)).any()
    assert ((w[:, 0] == 0) & (cell > 0)).any()


def test_difference_is_paired() -> None:
    """What two candidates share cancels: the interval of a difference is far narrower than those of its parts."""
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 0.2, 100)
    a, b = 0.5 + shared + rng.normal(0, 0.01, 100), 0.4 + shared
    pair = difference(a, b, 0.0, np.ones(100))
    alone = ratio(a, 0.0, np.ones(100))
    assert pair.lo <= 0.1 <= pair.hi
    assert pair.hi - pair.lo < 0.2 * (alone.hi - alone.lo)


def test_same_seed_same_interval() -> None:
    """The bootstrap is a function of its seed."""
    x = np.random.default_rng(3).normal(0.5, 0.1, 50)
    assert ratio(x, 0.0, np.ones(50), seed=1) == ratio(x, 0.0, np.ones(50), seed=1)
    assert ratio(x, 0.0, np.ones(50), seed=1) != ratio(x, 0.0, np.ones(50), seed=2)


def test_spearman_is_scipys_and_covers() -> None:
    """The value agrees with scipy with ties, and 95 % intervals cover in at least 92 % of 500 samples of 30."""
    from scipy import stats

    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
    assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert ranks(np.array([3, 1, 3])).tolist() == [2.5, 1.0, 2.5]
    truth = 6 / math.pi * math.asin(0.6 / 2)  # Spearman's rho of a normal pair with correlation .6
    hits = 0
    for _ in range(500):
        a, b = rng.standard_normal((2, 30))
        e = spearman(a, 0.6 * a + 0.8 * b)
        hits += e.lo <= truth <= e.hi
    assert hits >= 460


@pytest.mark.parametrize(
    ("scores", "floors", "ceilings"), [([], 0.0, []), ([math.nan], 0.0, [1.0]), ([1.0, 1.0], 1.0, [1.0, 1.0])]
)
def test_ratio_refuses(scores: list[float], floors: float, ceilings: list[float]) -> None:
    """No draws, non-finite scores and a missing gap raise one clear line instead of returning a number."""
    with pytest.raises(UsageError):
        ratio(scores, floors, ceilings)
