"""The transfer study's figures on made-up scores, its sources by name, and its recorded climbs."""

import json
from typing import Any

import numpy as np
import pytest

from studies.w2s import calibrate, measured, sources
from studies.w2s.does_it_transfer import chart, compared, gained, picks, print_tables, values
from toprope.errors import UsageError
from toprope_tasks.w2s.space import grammar

KINDS = np.array(["baseline"] * 20 + ["random"] * 20)


def source(true, noise, draws=60, seed=0):
    """Scores of methods whose value is `true`, with noise on every draw; three draws of a group."""
    rng = np.random.default_rng(seed)
    floors = rng.uniform(0.6, 0.8, draws)
    scores = floors + 0.2 * np.asarray(true)[:, None] + noise * rng.standard_normal((len(true), draws))
    return measured.Source(floors, floors + 0.2, np.arange(draws) // 3, scores)


@pytest.fixture
def true():
    return np.random.default_rng(5).uniform(-0.5, 0.8, len(KINDS))


def test_a_target_with_the_same_order_has_rank_correlation_one(true):
    """The same values with little noise: all sets near 1, intervals around it; the reverse order gives -1."""
    same = compared(source(true, 0.001), source(true, 0.001, seed=1), KINDS)
    assert set(same) == {"all", "baselines", "random", "top quartile"}
    assert same["all"]["methods"] == len(KINDS)
    assert same["top quartile"]["methods"] == len(KINDS) // 4
    assert all(row["lo"] > 0.9 for row in same.values())
    assert compared(source(true, 0.001), source(-true, 0.001), KINDS)["all"]["rho"] < -0.99


def test_noise_widens_the_interval(true):
    """Noisy draws of the target make the correlation smaller and its interval wider."""
    clear, rough = (compared(source(true, 0.01), source(true, s, seed=1), KINDS)["all"] for s in (0.01, 1.0))
    assert rough["rho"] < clear["rho"]
    assert rough["hi"] - rough["lo"] > 2 * (clear["hi"] - clear["lo"])


def test_a_pick_is_judged_on_the_target(true):
    """The predictor's first method and its value on the target."""
    names = [f"m{i}" for i in range(len(true))]
    found = picks(source(true, 0.0), source(-true, 0.0), names)
    assert found["first"] == f"m{true.argmax()}"
    assert found["its value"] == pytest.approx(-true.max(), abs=1e-3)
    assert found["best possible"] == pytest.approx(-true.min(), abs=1e-3)
    assert values(source(true, 0.0), names, 0)["m3"][0] == pytest.approx(true[3], abs=1e-3)


def test_doubles_count_once(true):
    """A method that equals an earlier one on every draw is left out; near-copies stay."""
    one = source(true, 0.1)
    scores = np.concatenate([one.scores, one.scores[:3], one.scores[:1] + 0.001])
    assert measured.distinct([one._replace(scores=scores)]).tolist() == [*range(len(true)), len(true) + 3]


def test_joined_sources_keep_their_groups_apart(true):
    """The value over two sources is the ratio of sums over both; their groups do not mix."""
    a, b = source(true, 0.1), source(true, 0.1, draws=30, seed=3)
    both = measured.joined([a, b])
    assert len(np.unique(both.groups)) == 20 + 10
    gains = (a.scores - a.floors).sum(1) + (b.scores - b.floors).sum(1)
    assert both.values() == pytest.approx(gains / (0.2 * 90))


def test_scores_are_measured_once(cache_of_states, tmp_path, monkeypatch):
    """A second call reads every score from the cache; other draws under the same name are measured anew."""
    some = sources.draws("w2s/probe-v2 dev", 2, 1, lines=4000)
    params = [{}, {"l2": 0.03}]
    first = measured.measure("x", some, params, tmp_path)
    monkeypatch.setattr(measured, "_scores", None)
    again = measured.measure("x", some, params[::-1], tmp_path)
    assert np.array_equal(first.scores, again.scores[::-1])
    with pytest.raises(TypeError):
        measured.measure("x", some[1:], params, tmp_path)


def test_methods_of_every_kind():
    """Baselines, random points and climbed ones; a recorded climb gets better step by step."""
    found = measured.methods(5, 0)
    assert {kind for kind, _ in found.values()} == {"baseline", "random", "climbed"}
    space = grammar()
    assert all(space.encode(p) is not None for kind, p in found.values() if kind == "climbed")
    for run in json.loads(measured.CLIMBED.read_text()):
        dev = [step["dev"] for step in run["steps"]]
        assert dev == sorted(set(dev))


def test_an_unknown_source_is_refused():
    """The message names the source and the forms."""
    with pytest.raises(UsageError, match=r"'nothing here'.*TASK dev"):
        sources.draws("nothing here", 1, 0)


def test_figures_of_two_clusters():
    """Neighbours agree wholly in two far clusters; the area is that of pairs in the right order."""
    z = np.concatenate([np.zeros((30, 2)), np.full((30, 2), 9.0)]).astype(np.float32)
    near = calibrate.nearest(z + np.random.default_rng(0).random(z.shape, dtype=np.float32), 10)
    assert np.all((near < 30) == (np.arange(60) < 30)[:, None])
    assert calibrate.area(np.array([0.1, 0.4, 0.3, 0.9]), np.array([False, False, True, True])) == 0.75
    assert calibrate.correlation(np.ones(4), np.arange(4)) == 0.0


def test_tables_and_chart_show_every_bank(true, capsys):
    """Every bank, its role and both versions stand in what is printed and drawn."""
    names = ["vanilla", "logconf + L2 (tuned)", "overlap density (tuned)", "label propagation + match (tuned)"]
    names += [f"m{i}" for i in range(len(true) - len(names))]
    x, y = source(true, 0.01), source(true, 0.1, seed=1)
    predictors = ("w2s/probe-v1 dev", "w2s/probe-v2 dev")
    rows = {"smol": {p: compared(x, y, KINDS) for p in predictors}}
    found: dict[str, Any] = {"methods": 40, "distinct": 40, "roles": {"smol": "seen"}, "correlations": rows}
    found |= {"gains": {"smol": gained(x, x, y, KINDS)}}
    found |= {"picks": {"smol": {p: picks(x, y, names) for p in predictors}}, "values": {"smol": values(y, names, 0)}}
    print_tables(found)
    assert "| smol | seen | w2s/probe-v2 dev |" in capsys.readouterr().out
    assert found["gains"]["smol"]["all"] == {"difference": 0.0, "lo": 0.0, "hi": 0.0}
    assert "smol, baselines, v2" in chart(rows, found["roles"])
