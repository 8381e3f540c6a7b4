"""Alpha spending: the shares sum to at most one, and the level is their product."""

import math

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.stats.spending import NORMALISER, attempt_level, harmonic


def test_shares_sum_to_at_most_one() -> None:
    """Sum over all i >= 1 is <= 1: a million terms added, the tail bounded by its integral, and hardly any is wasted.

    1/(i log^2(i+1)) <= (1 + 1/i) / ((i+1) log^2(i+1)), so the tail beyond N is at most (1 + 1/N) / log(N + 1).
    """
    n = 10**6
    i = np.arange(1, n + 1, dtype=np.float64)
    head = math.fsum(1 / (i * np.log(i + 1) ** 2))
    assert 0.99999 < (head + (1 + 1 / n) / math.log(n + 1)) / NORMALISER <= 1.0
    assert harmonic(7) == pytest.approx(1 / (NORMALISER * 7 * math.log(8) ** 2))


def test_level_is_the_product_of_shares() -> None:
    """alpha_i = alpha w(run) w(slice) w(attempt), on the log scale."""
    expected = 0.05 * harmonic(3) * harmonic(2) * harmonic(41)
    assert attempt_level(3, 2, 41) == pytest.approx(-math.log(expected))


def test_known_cap_spends_evenly_and_never_more() -> None:
    """Under a cap of k every attempt spends 1/k of the slice's share, and attempt k+1 cannot promote."""
    assert attempt_level(1, 1, 1, known_cap=1000) == attempt_level(1, 1, 1000, known_cap=1000)
    total = 1000 * math.exp(-attempt_level(1, 1, 5, known_cap=1000))
    assert total == pytest.approx(0.05 * harmonic(1) ** 2)
    assert attempt_level(1, 1, 1001, known_cap=1000) == math.inf


def test_a_million_attempts_cost_little_on_the_log_scale() -> None:
    """The threshold grows by less than 21 nats from the first to the millionth attempt of the tenth run."""
    assert attempt_level(10, 1, 10**6) - attempt_level(1, 1, 1) < 21 + math.log(harmonic(1) / harmonic(10))


@pytest.mark.parametrize("indices", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -3)])
def test_counting_starts_at_one(indices: tuple[int, int, int]) -> None:
    """An index below 1 would spend alpha that was never set aside, so it raises."""
    with pytest.raises(UsageError, match="count from 1"):
        attempt_level(*indices)
    with pytest.raises(UsageError):
        attempt_level(1, 1, 1, alpha=1.5)
