"""The leak meter and the dev-hidden gap."""

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.stats.gap import Gap
from toprope.stats.leak import NO_BITS, YES_BITS, LeakMeter, answer_bits, inflation, number_bits, promotions_left
from toprope.stats.tails import clopper_pearson


@pytest.mark.parametrize(
    ("n", "bits", "points"), [(1000, 0, 3.9), (1000, 100, 19.0), (5000, 50, 6.1), (10_000, 10, 2.2)]
)
def test_inflation_matches_the_published_table(n: int, bits: int, points: float) -> None:
    """sqrt((b ln 2 + ln 20) / 2n) in points of accuracy."""
    assert 100 * inflation(bits, n) == pytest.approx(points, abs=0.05)


def test_inflation_bounds_an_attacker() -> None:
    """The best of 2^b random predictors exceeds its true .5 by more than the bound in at most 5 % of 400 splits."""
    rng = np.random.default_rng(0)
    best = rng.binomial(500, 0.5, (400, 2**10)).max(axis=1) / 500
    assert (best > 0.5 + inflation(10, 500)).mean() <= 0.05
    assert (best > 0.5 + inflation(0, 500)).mean() > 0.5  # and forgetting the bits would not do


def test_the_answer_code_is_a_prefix_code() -> None:
    """The lengths of NO and YES satisfy Kraft with equality."""
    assert pytest.approx(1.0) == 2**-NO_BITS + 2**-YES_BITS


def test_meter_refuses_beyond_its_budget() -> None:
    """What would exceed the budget is refused and not counted; an exact accuracy is dear."""
    meter = LeakMeter(budget=12.0)
    meter.disclose(number_bits(1001))
    assert not meter.allows(number_bits(1001))
    with pytest.raises(UsageError, match="exceed the leak budget"):
        meter.disclose(number_bits(1001))
    assert meter.bits == pytest.approx(np.log2(1001))
    assert meter.allows(NO_BITS)


def _flags(gap: float, campaigns: int, pairs: int, margin: float = 0.0) -> int:
    rng = np.random.default_rng(1)
    flagged = 0
    for _ in range(campaigns):
        watch = Gap(clip=1.0, margin=margin)
        flagged += watch.update(1.0 * (rng.random(pairs) < 0.7), 1.0 * (rng.random(pairs) < 0.7 - gap))
    return flagged


def test_gap_rarely_flags_an_honest_candidate() -> None:
    """Looking after each of 2,000 pairs, 0/1 scores, no gap: the false-alarm rate over 500 campaigns is within 5 %."""
    assert clopper_pearson(_flags(0.0, 500, 2000), 500)[0] <= 0.05


def test_gap_finds_overfitting() -> None:
    """A gap of ten points is flagged within 1,500 pairs in at least 95 of 100 campaigns, and not if tolerated."""
    assert _flags(0.1, 100, 1500) >= 95
    assert _flags(0.1, 100, 1500, margin=0.15) <= 5


def test_margin_keeps_large_losses() -> None:
    """With a margin, -clip counts in full: a fair game with a margin at its mean gives no evidence (2,000 games)."""
    rng = np.random.default_rng(2)
    flagged = 0
    for _ in range(2000):
        watch = Gap(clip=1.0, margin=0.5)
        dev = np.where(rng.random(100) < 0.75, 1.0, 0.0)
        flagged += watch.update(dev, 1.0 - dev)  # mean difference .5
    assert clopper_pearson(flagged, 2000)[0] <= 0.05


def test_promotions_left_keep_the_inflation_within_the_tolerance():
    """With all of them used the bound is still within it, with one more it is not; bits that are used up count."""
    left = promotions_left(0.0, 10_000, 0.05)
    one = answer_bits(True, 0)
    assert inflation(left * one, 10_000) <= 0.05 < inflation((left + 1) * one, 10_000)
    assert promotions_left(3 * one, 10_000, 0.05) == left - 3
    assert promotions_left(1e6, 10_000, 0.05) == promotions_left(0.0, 10, 0.05) == 0
