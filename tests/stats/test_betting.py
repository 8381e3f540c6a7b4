"""The betting e-process: definition, stops, stability, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprope.errors import UsageError
from toprope.stats.betting import BETS, Bet, log_e, log_e_path, minimum_detectable, normal_detectable, promoted


def test_equals_the_formula() -> None:
    """The fast products give the textbook mixture to 1e-10."""
    from scipy.special import logsumexp

    d = np.random.default_rng(0).normal(0.01, 0.08, 500)
    shares = np.clip(d, -0.1, 0.1) / 0.1
    direct = logsumexp(np.log1p(np.outer(shares, BETS)).sum(axis=0)) - math.log(len(BETS))
    assert log_e(d, 0.1) == pytest.approx(direct, abs=1e-10)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_stays_finite_on_long_extremes(value: float) -> None:
    """100,000 draws at either end of the range neither overflow nor underflow."""
    assert math.isfinite(log_e(np.full(100_000, value), 0.1))


def test_no_draws_no_evidence() -> None:
    """Without draws the e-value is exactly 1."""
    assert log_e(np.array([]), 0.1) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 120), max_size=6), st.integers(0, 10**6))
def test_chunks_do_not_matter(cuts: list[int], seed: int) -> None:
    """However the draws are cut into chunks, the answer, the draws used and the evidence are the same."""
    d = np.random.default_rng(seed).normal(0.01, 0.05, 120)
    whole, pieces = Bet(0.1, 3.0), Bet(0.1, 3.0)
    whole.update(d)
    for part in np.split(d, sorted(cuts)):
        pieces.update(part)
    assert (whole.promoted, whole.stopped, whole.draws) == (pieces.promoted, pieces.stopped, pieces.draws)
    assert whole.log_e == pytest.approx(pieces.log_e, abs=1e-9)


def test_bet_and_batch_agree() -> None:
    """The running class and the batch form used in simulations give the same answers."""
    d = np.random.default_rng(1).normal(0.006, 0.05, (200, 150))
    singles = []
    for row in d:
        bet = Bet(0.1, 4.0)
        bet.update(row)
        singles.append(bet.promoted)
    assert singles == promoted(d, 0.1, 4.0).tolist()
    assert 20 < sum(singles) < 180


def test_order_of_draws_does_not_change_the_final_value() -> None:
    """The final e-value is a function of the set of draws, so nothing is gained by reordering them."""
    d = np.random.default_rng(2).normal(0, 0.1, 300)
    assert log_e(d, 0.1) == pytest.approx(log_e(d[::-1], 0.1), abs=1e-9)


def test_outliers_count_as_the_clip() -> None:
    """A difference beyond the declared range counts as the range."""
    assert log_e(np.array([5.0, -7.0, 0.02]), 0.1) == log_e(np.array([0.1, -0.1, 0.02]), 0.1)


def test_futility_stops_a_bad_candidate_at_the_earliest_draw() -> None:
    """A clearly worse candidate is given up at draw 32, not before and not later."""
    bet = Bet(0.1, 10.0)
    assert bet.update(np.full(31, -0.1))
    assert not bet.update(np.full(100, -0.1))
    assert (bet.draws, bet.promoted, bet.stopped) == (32, False, True)


def test_a_stopped_attempt_stays_stopped() -> None:
    """Draws after a stop change nothing: a given-up candidate cannot come back."""
    bet = Bet(0.1, 10.0)
    bet.update(np.full(32, -0.1))
    bet.update(np.full(1000, 0.1))
    assert (bet.draws, bet.promoted) == (32, False)


def test_acceptance_is_early() -> None:
    """A clearly better candidate is accepted long before the slice ends."""
    bet = Bet(0.1, math.log(1e6))
    bet.update(np.full(320, 0.08))
    assert bet.promoted
    assert bet.draws < 64


def test_minimum_detectable_tracks_the_ideal_test() -> None:
    """Between once and twice what a test that knows the variance needs, and it falls as draws are added."""
    mine, ideal = minimum_detectable(320, 0.026, 0.1, 1e-6), normal_detectable(320, 0.026, 1e-6)
    assert ideal < mine < 2 * ideal
    assert minimum_detectable(640, 0.026, 0.1, 1e-6) < mine
    assert minimum_detectable(3, 0.026, 0.1, 1e-6) == math.inf


@pytest.mark.parametrize(("differences", "clip"), [([math.nan], 0.1), ([math.inf], 0.1), ([0.0], 0.0), ([0.0], -1.0)])
def test_refuses_what_would_void_the_promise(differences: list[float], clip: float) -> None:
    """Non-finite differences and a clip that is not a range raise instead of giving evidence."""
    with pytest.raises(UsageError):
        log_e_path(np.array([differences]), clip)
