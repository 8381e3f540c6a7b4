"""The Goodhart view: what is best on dev so far is never worse on dev, and it is held against hidden draws."""

import pytest

from studies.goodhart import budgets, climb, leaders, view
from toprope.assay.reference import pool_of
from toprope.tasks import registry

pytestmark = pytest.mark.e2e


COIN = "testing/coin-v1"


def test_budgets_rise_to_the_whole():
    assert budgets(320) == [1, 10, 32, 100, 316, 320]
    assert budgets(5) == [1, 5]


@pytest.mark.slow
def test_leaders_begin_with_the_starter_and_only_rise(tmp_path):
    """On a coin whose faces differ by luck alone, the leader's lead on dev is not there on hidden draws."""
    history = climb(COIN, 1, 130, 1, tmp_path)
    at = [1, 10, 100, 130]
    found = leaders(history, at)
    values = [value for _, value in found]
    assert found[0][0].params == history.opening.space.decode(history.opening.space.default())
    assert values == sorted(values)
    assert round(values[-1], 6) == max(g.best for g in history.generations if g.best is not None)
    task = registry.load(COIN)
    pool = pool_of(task, 1, 1)
    try:
        lines = list(view(task, [history], at, pool, 64))
    finally:
        pool.close()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [str(n) for n in at]
    dev, hidden = (float(lines[-1].split("|")[i].split()[0]) for i in (2, 3))
    assert abs(dev - values[-1]) < 1e-3
    assert abs(hidden - 0.5 - found[-1][0].params["skill"]) < 0.02  # its skill, without its luck
