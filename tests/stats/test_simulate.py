"""The gate's promises in simulation: level under adversaries, power for what matters."""

import math

import numpy as np
import pytest

from studies import simulate
from toprope.stats.betting import promoted
from toprope.stats.spending import attempt_level, harmonic
from toprope.stats.tails import clopper_pearson

NULLS = sorted(simulate.NULLS)


@pytest.mark.parametrize("name", NULLS)
def test_nulls_have_clipped_mean_zero(name: str) -> None:
    """Each simulated null sits on the edge of the promise: clipped mean 0 within 4 standard errors (200,000 draws)."""
    null = simulate.NULLS[name]
    x = np.clip(null(np.random.default_rng(0), 1, 200_000), -simulate.CLIP, simulate.CLIP)
    assert abs(x.mean()) < 4 * x.std() / math.sqrt(x.size)


@pytest.mark.parametrize("name", NULLS)
def test_campaigns_keep_the_promise(name: str) -> None:
    """2,000 campaigns of 20 attempts on slices of 64: the lower Clopper-Pearson bound of false promotion is <= 5 %."""
    wrong = simulate.false_promotions(simulate.NULLS[name], campaigns=2000, attempts=20, draws=64)
    assert clopper_pearson(wrong, 2000)[0] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", NULLS)
def test_long_campaigns_keep_the_promise(name: str) -> None:
    """2,000 campaigns of 200 attempts on slices of 640: the lower Clopper-Pearson bound is <= 5 %."""
    wrong = simulate.false_promotions(simulate.NULLS[name], campaigns=2000, attempts=200)
    assert clopper_pearson(wrong, 2000)[0] <= 0.05


@pytest.mark.parametrize("name", NULLS)
def test_one_test_holds_its_level_and_has_teeth(name: str) -> None:
    """At alpha = .05 one look-always test errs in at most 5 % of 3,000 trials of 256 draws; for a coin in over 2 %."""
    x = simulate.NULLS[name](np.random.default_rng(5), 3000, 256)
    if name in ("correlated", "drifting"):  # their rows are not independent trials
        x = np.concatenate([simulate.NULLS[name](np.random.default_rng([5, i]), 1, 256) for i in range(3000)])
    wrong = int(promoted(x, simulate.CLIP, math.log(20)).sum())
    assert clopper_pearson(wrong, 3000)[0] <= 0.05
    if name == "coin":
        assert wrong > 60


@pytest.mark.slow
def test_promise_is_over_the_whole_run() -> None:
    """2,000 runs in which a true improvement burns each of four slices and 25 nulls follow keep the level of run 1."""
    rng = np.random.default_rng(7)
    levels = np.array([attempt_level(1, s, i) for s in range(1, 5) for i in range(2, 27)])[:, None]
    wrong = sum(bool(promoted(simulate.coin(rng, 100, 64), simulate.CLIP, levels).any()) for _ in range(2000))
    assert clopper_pearson(wrong, 2000)[0] <= 0.05 * harmonic(1)


def test_t_and_sign_tests_break_where_betting_holds() -> None:
    """Rare big losses, mean 0, level .001, 128 draws, 20,000 trials: t errs over 5 times too often, sign always."""
    rates = simulate.single_test_errors(simulate.rare_losses, 20_000, 0.001)
    assert rates["betting"] <= 0.001
    assert rates["t"] > 0.005
    assert rates["sign"] > 0.99


@pytest.mark.parametrize("futility", [True, False])
def test_power_at_attempt_one_thousand(futility: bool) -> None:
    """A true PGR gain of .10 is promoted in over 80 % of 1,000 trials at attempt 1,000 with 640 draws."""
    assert clopper_pearson(round(1000 * simulate.power(1000, 1000, futility=futility)), 1000)[0] > 0.8


@pytest.mark.slow
def test_the_study_prints_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs from start to end and names every null it tried."""
    simulate.main(campaigns=5, attempts=4, draws=40)
    out = capsys.readouterr().out
    assert all(name in out for name in NULLS)
    assert "attempt  1000000" in out
