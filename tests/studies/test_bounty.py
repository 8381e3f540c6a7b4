"""The bounty table's parts: attacks that work where they must, a gate that gives nothing away, odds that are right."""

import math

import numpy as np
import pytest

from studies.bounty import DIFFER, attacks, games, given_away, odds
from studies.bounty.endpoints import Exact, Ladder, Noisy, OneBitGate
from toprope.stats.betting import log_e_path
from toprope.stats.tails import binomial_upper_tail, clopper_pearson


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1000, 1281])
def test_the_detecting_matrix_tells_every_label(n):
    """Exact accuracies give away all labels in far fewer queries than there are labels, for any n."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n).astype(np.int8)
    rows = len(attacks.detecting_matrix(n))
    assert np.array_equal(attacks.detecting(Exact(labels), 2 * rows, rng), labels)
    if n >= 1000:
        assert 2 * rows <= 0.52 * n or n == 1281


@pytest.mark.slow
def test_raw_scores_give_away_everything_and_the_gate_nothing():
    """k = n = 1000: exact and 3-decimal accuracies >= 99 %, the parameter-free Ladder 99 %, the gate 50 %."""
    at = games(1000)
    assert given_away(at["exact accuracy"], 1000, 1000, 1) >= 0.99
    assert given_away(at["3 decimals"], 1000, 1000, 1) >= 0.99
    assert given_away(at["2 decimals"], 1000, 1000, 1) >= 0.9
    assert given_away(at["Ladder, parameter-free"], 1000, 1001, 1) >= 0.99
    assert abs(given_away(at["our gate"], 1000, 1000, 4) - 0.5) < 4 * 0.5 / math.sqrt(4000)


def test_a_budget_silences():
    """After its last answer an endpoint with a budget tells nothing."""
    endpoint = Noisy(np.zeros(10, np.int8), 0.01, np.random.default_rng(0), 3)
    assert np.isnan(endpoint.scores(np.zeros((5, 10), np.int8))).tolist() == [False, False, False, True, True]
    assert np.isnan(endpoint.scores(np.zeros((1, 10), np.int8))).all()


def test_a_ladder_tells_improvements_only():
    """Better by more than eta is told and becomes the best; the same again is not better."""
    labels = np.ones(100, np.int8)
    ladder = Ladder(labels, 0.1, np.zeros(100, np.int8))
    some = np.zeros(100, np.int8)
    some[:10] = 1
    assert not ladder.better(some)
    some[:11] = 1
    assert ladder.better(some)
    assert not ladder.better(some)


def test_the_gate_promotes_skill_and_burns_the_labels():
    """A prediction that knows the labels is promoted once; the labels are new afterwards, so it is worth nothing."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000).astype(np.int8)
    gate = OneBitGate(labels, rng.integers(0, 2, 1000).astype(np.int8), rng)
    assert gate.better(labels.copy())
    assert gate.promotions == 1
    assert abs(np.mean(gate.labels == labels) - 0.5) < 0.08


def test_the_odds_are_those_of_counting():
    """Importance sampling agrees with plain simulation where both can see: 20,000 campaigns of one attempt."""
    levels, evidence = np.array([math.log(10), math.log(40)]), odds.table(200)
    for level, p in zip(levels, odds.tail(levels, 200, DIFFER, 8000), strict=True):
        rng = np.random.default_rng(3)
        wrong = sum(odds._any_promoted(rng, np.full(1, level), evidence, DIFFER) for _ in range(4000))
        low, high = clopper_pearson(wrong, 4000, 0.999)
        assert low <= p <= high
        assert p <= math.exp(-level)


def test_a_million_attempts_stay_within_the_promise():
    """The reduced simulation: 1,000 to a billion attempts without skill are promoted at most 5 % of the time."""
    rates = [odds.false_promotion(k, 1000, DIFFER, 1000) for k in (10**3, 10**6, 10**9)]
    assert 0 < rates[0] <= rates[1] * 1.1
    assert max(rates) < 0.05


def test_a_thousand_attempts_item_by_item():
    """No more false promotions among 40 full campaigns than a rate of 5 % would give once in 10,000 times."""
    wrong = odds.direct(1000, 200, DIFFER, 40)
    assert binomial_upper_tail(wrong, 40, 0.05) > 1e-4


def test_the_table_is_the_bet():
    """Looking up counts of won and lost items gives what the gate's own test computes after every item."""
    signs = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (20, 200), p=[0.25, 0.5, 0.25])
    path, _ = log_e_path(signs, 1.0)
    won, lost = np.cumsum(signs > 0, axis=1), np.cumsum(signs < 0, axis=1)
    assert np.allclose(odds.table(200)[won, lost], path, atol=1e-12)
