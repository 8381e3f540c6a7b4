"""The forecast of a long climb: what limits it, and that its figures are those of real climbs."""

import json
import os

import pytest

from studies.forecasts import compared
from toprope.assay import forecast
from toprope.errors import UsageError
from toprope.sandbox.selftest import best_tier
from toprope.tasks import registry

COIN = "testing/coin-v1"  # rungs of 4 and 12 draws, generations of 32, an attempt per 64 experiments


def spent(experiments, **changes):
    """A climb whose experiments cost 10 ms of practice on either rung, 1 ms of the run process and 100 bytes."""
    known = {
        "practice": [0.01 * experiments, 0.01 * experiments],
        "made": [experiments, experiments // 4],
        "run": 1.0 + 0.001 * experiments,
        "other": 2.0,
        "attempts": 0,
        "first_s": 0.0,
        "payload": 100 * experiments,
        "size": 4096 + 100 * experiments,
        "wall": 1.0,
    }
    return forecast.Spent(experiments, **{**known, **changes})


def said(small, large, *, experiments=1e6, cores=1, hub_cores=1, blocks=10**6, price=None):
    coin = registry.load(COIN)
    cut = (blocks, coin.spec.splits.generation)
    return forecast.of(coin, 1e12, small, large, experiments, cores, hub_cores, *cut, price)


def test_one_core_does_all_in_turn():
    """21 ms an experiment, without what starting costs; the ledger grows by its entries."""
    f = said(spent(32), spent(96), price=0.1)
    assert f.cpu_s_per_experiment == pytest.approx(0.021)
    assert f.hours == pytest.approx(1e6 * 0.021 / 3600)
    assert f.ledger_bytes == pytest.approx(4096 + 1e8)
    assert f.money == pytest.approx(0.1 * f.hours)
    assert f.coordinator_load == pytest.approx(1 / 21)


def test_the_run_process_limits_many_cores():
    """20 ms of practice for 1 ms of the run process: twenty cores, and never less than 1 ms."""
    f = said(spent(32), spent(96), cores=10**6)
    assert f.saturates.coordinator == pytest.approx(20.0)
    assert f.saturates_at_cores == 20
    assert f.hours > 1e6 * 0.001 / 3600


def test_blocks_limit_many_cores():
    """A rung in 8 blocks is done by 8 cores, whatever there is."""
    f = said(spent(32), spent(96), cores=1000, blocks=8)
    assert f.saturates.blocks == pytest.approx(8.0)
    assert f.hours == pytest.approx(1e6 * (0.001 + 0.02 / 8) / 3600)


def test_finer_blocks_cost_the_run_process():
    """A thousand blocks where there were eight: each has its price, so fewer cores pay. In generations that are larger
    by as much, blocks hold as many candidates as before, and cost what they cost."""
    coin = registry.load(COIN)
    usual = coin.spec.splits.generation
    coarse, fine, large = (
        forecast.of(coin, 1e12, spent(32), spent(96), 1e6, 1000, 1, blocks, generation, None, (0.001, 0.001))
        for blocks, generation in ((8, usual), (1000, usual), (1000, 125 * usual))
    )
    assert large.cpu_s["coordinator"] == pytest.approx(coarse.cpu_s["coordinator"], rel=0.1)
    assert large.saturates.blocks > 5 * fine.saturates.blocks  # and later rungs have candidates for all cores
    assert coarse.cpu_s["coordinator"] == pytest.approx(0.001)
    assert fine.cpu_s["coordinator"] > 2 * coarse.cpu_s["coordinator"]
    assert 2 * (fine.saturates.coordinator or 0.0) < (coarse.saturates.coordinator or 0.0)
    assert fine.saturates.blocks > coarse.saturates.blocks


def test_finer_blocks_cost_bytes():
    """Every block has an entry, of 200 bytes at least."""
    coin = registry.load(COIN)
    usual = coin.spec.splits.generation
    small, large = spent(32, least=200), spent(96, least=200)
    coarse, fine = (
        forecast.of(coin, 1e12, small, large, 1e6, 1, 1, blocks, usual, None).ledger_bytes for blocks in (8, 32)
    )
    assert coarse == pytest.approx(4096 + 1e8)
    # 32 candidates on 4 draws: 8 or 32 blocks; the quarter of them on 8 more draws: the same
    assert fine - coarse == pytest.approx((1e6 - 96) * 200 * (48 / 32), rel=0.01)


def test_the_gate_limits_many_cores():
    """An answer every 64 experiments that takes 10 s leaves a climb at 6.4 experiments a second at most; more cores of
    the hub make the schedule shorter. In a long climb attempts are rare, and the gate limits nothing."""
    gate = {"attempts": 4, "first_s": 10.0, "other": 6.0}
    slow = said(spent(32), spent(96, **gate), experiments=2000, cores=10**6)
    assert slow.hours == pytest.approx(2000 * 10 / 64 / 3600, rel=0.02)
    assert slow.saturates.gate == pytest.approx(0.02 * 64 / 10, abs=0.05)
    more = said(spent(32), spent(96, **gate), experiments=2000, cores=10**6, hub_cores=8)
    assert more.hours < slow.hours / 4
    long = said(spent(32), spent(96, **gate), experiments=2e6, cores=10**6)
    assert long.hours < slow.hours * 1000 / 50


def test_a_space_that_is_too_small():
    """One line instead of a division by zero."""
    with pytest.raises(UsageError, match="all tried in the calibration"):
        said(spent(32), spent(32))


@pytest.mark.e2e
def test_the_parts_of_a_climb_are_its_cpu_time():
    """Nothing is negative, and the parts are no more than all that this process and its children used meanwhile."""
    before = os.times()
    found = forecast.measure(registry.load(COIN), 8, best_tier().tier)
    used = sum(os.times()[:4]) - sum(before[:4])
    assert found.experiments == 8
    assert min(*found.practice, found.run, found.other) >= 0
    assert found.other > 0  # two scorers start
    assert found.cpu <= used


@pytest.mark.slow
@pytest.mark.e2e
def test_a_real_calibration(monkeypatch):
    """Every figure is there and can be printed as JSON."""
    from toprope.cli.group import builtins
    from toprope.view import text

    monkeypatch.setattr(forecast, "SURE_S", 0.0)
    seen = []
    f = forecast.forecast(COIN, 1e9, 64, 2, best_tier().tier, lambda what, done: seen.append(done), price=0.03)
    result = builtins(f)
    json.dumps(result, allow_nan=False)
    assert {"hours", "cpu_s_per_experiment", "ledger_bytes", "saturates_at_cores"} <= set(result)
    assert result["cpu_s"]["practice"] > 0
    assert 0 < result["calibration"]["coordinator_per_block_s"] < 0.1
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    shown = text.forecast(result)
    assert "its space has 2,750 points" in shown
    assert all(a in shown for a in forecast.ASSUMPTIONS)


@pytest.mark.slow
@pytest.mark.e2e
def test_what_it_says_is_what_climbs_take():
    """Within a quarter, for two lengths: CPU time of practice and of all, and the ledger's bytes."""
    for row in compared(COIN, [1200, 2000], best_tier().tier):
        assert all(abs(error) <= 0.25 for error in row["errors"].values()), row
