"""The curve over experiments: the record grows by what it lacks, and table and figure show what it holds."""

import json

import numpy as np
import pytest

from studies import experiments_buy
from toprope.errors import UsageError
from toprope.referee.panel import Column


def row(climber: str, size: int, seed: int, sealed: float) -> dict:
    """A row of the record, 0.1 below the best dev value and 0.02 above the best tuned baseline."""
    return {
        "task": "a/task-v1",
        "climber": climber,
        "experiments": size,
        "seed": seed,
        "champion": {},
        "leader": {},
        "leader_sealed": sealed - 0.03,
        "best_dev": sealed + 0.1,
        "dev": sealed + 0.05,
        "measured": None if size == 100 else {"value": sealed, "lo": sealed - 0.1, "hi": sealed + 0.1},
        "attempts": 1,
        "promotions": 1,
        "cpu_s": 10.0,
        "wall_s": 5.0,
        "sealed": {"value": sealed, "lo": sealed - 0.1, "hi": sealed + 0.1, "draws": 10},
        "gain": {"over": "best", "its": sealed - 0.02, "value": 0.02, "lo": 0.01 * (-1) ** seed, "hi": 0.05},
    }


ROWS = [
    row(c, n, s, 0.3 + 0.1 * (c == "evolution") + 0.01 * s)
    for c in ("evolution", "random")
    for n in (100, 1000)
    for s in (1, 2)
]


def test_the_table_has_means_over_seeds():
    """One line for each climber and size; a value that was never measured is shown as nan."""
    lines = list(experiments_buy.table(ROWS))
    assert len(lines) == 2 + 4
    assert (
        "| evolution | 100 | 2 | 0.515 | 0.385 | 0.465 | nan | 0.415 | +0.020 (+0.020 to +0.020) | 1 of 2 | | | 10 |"
        in lines[2]  # no seed has a gain over the defaults
    )
    assert "| evolution | 1,000 | 2 | 0.515 | 0.385 | 0.465 | 0.415 | 0.415 |" in lines[3]
    over = {"over": "other", "its": 0.5, "value": -0.03, "lo": -0.05, "hi": -0.01}
    (line,) = list(experiments_buy.table([ROWS[0] | {"gain_default": over}]))[2:]
    assert line.endswith("| -0.030 (-0.030 to -0.030) | 0 of 1 | 10 |")
    assert line.count("|") == lines[0].count("|") == lines[2].count("|")


def test_the_figure_shows_climbers_and_what_dev_promises():
    """Two charts of a task; the first has the baseline's level, and the range over seeds as a band."""
    sealed, promise = experiments_buy.charts(ROWS)
    assert [line.label for line in sealed.lines] == ["evolution", "random", "best tuned baseline"]
    assert sealed.lines[0].x == [2.0, 3.0]
    assert sealed.lines[0].y == pytest.approx([0.415, 0.415])
    assert sealed.lines[0].lo == pytest.approx([0.41, 0.41])
    assert sealed.lines[0].hi == pytest.approx([0.42, 0.42])
    assert [line.label for line in promise.lines] == [
        "best by dev: dev",
        "best by dev: sealed",
        "champion: dev",
        "champion: sealed",
    ]
    alone = next(experiments_buy.charts([r for r in ROWS if r["seed"] == 1])).lines[0]
    assert alone.lo == alone.hi == alone.y


def test_only_hopeless_baselines_are_left_out():
    """One that is behind by a third of a standard deviation may still be the best; one that always is not."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 96)
    each = np.zeros(96), np.ones(96), np.zeros(96, int)
    found = {"best": 0.5 + 0 * noise, "near": 0.47 + noise, "far": 0.3 + noise}
    assert experiments_buy._contenders({n: Column(s, *each) for n, s in found.items()}) == ["best", "near"]


def test_a_task_with_climbs_of_one_size_is_not_drawn():
    """One place on the axis makes no line."""
    assert list(experiments_buy.charts([r for r in ROWS if r["experiments"] == 100])) == []


@pytest.mark.e2e
@pytest.mark.slow
def test_the_record_grows_by_what_it_lacks(tmp_path, monkeypatch):
    """Climbs of two sizes; a second call with a further size makes that one only."""
    record = tmp_path / "record.json"
    options = {"task": "testing/coin-v1", "climber": ("random",), "seed": (1,), "draws": 50, "workers": 1}
    experiments_buy.main("climb", size=(32,), record=record, **options)
    first = json.loads(record.read_text())
    assert [(r["climber"], r["experiments"], r["seed"]) for r in first] == [("random", 32, 1)]
    assert first[0]["sealed"]["lo"] <= first[0]["sealed"]["value"] <= first[0]["sealed"]["hi"]
    experiments_buy.main("climb", size=(32, 64), record=record, **options)
    second = json.loads(record.read_text())
    assert second[0] == first[0]
    assert [r["experiments"] for r in second] == [32, 64]
    del second[0]["gain_default"]  # a row of an early record
    record.write_text(json.dumps(second))
    experiments_buy.main("seal", size=(32,), record=record, **options)
    assert json.loads(record.read_text()) == [first[0], second[1]]
    assert {"over", "its", "value", "lo", "hi", "nested"} == first[0]["gain_default"].keys()
    with pytest.raises(UsageError, match="no such climb of testing/coin-v1 with seed 1"):
        experiments_buy.main("seal", size=(128,), record=record, **options)
    experiments_buy.main("show", record=record, figure=tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()
