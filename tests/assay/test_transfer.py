"""`toprope transfer`: whether a run's methods keep their order on another task."""

import json
import shutil

import numpy as np
import pytest

from toprope.assay.transfer import FEWEST, Method, best_so_far, compared, doubles
from toprope.errors import UsageError
from toprope.journal.reading import read
from toprope.journal.tiers import NAME, keep, kept
from toprope.referee.panel import Column
from toprope.types import Candidate, Tree

DRAWS = 48


def side(truth, noise, seed):
    """Columns of methods with these true values, on draws of twelve kinds."""
    rng = np.random.default_rng(seed)
    groups = np.arange(DRAWS) % 12
    ease = rng.normal(0, 0.02, DRAWS)
    return [
        Column(0.6 + 0.2 * v + ease + rng.normal(0, noise, DRAWS), np.full(DRAWS, 0.6), np.full(DRAWS, 0.8), groups)
        for v in truth
    ]


def named(n):
    tree = Tree({"solution.py": b""})
    return [Method(f"experiment {i}", "sampled", i, DRAWS, Candidate(tree, {"x": i})) for i in range(n)]


def test_methods_that_keep_their_order_have_a_high_rank_correlation_and_shuffled_ones_do_not():
    """40 methods, seeds fixed: the interval of the first lies above .8, that of the second holds zero."""
    truth = np.linspace(0, 0.8, 40)
    x = side(truth, 0.01, 1)
    same = compared(["a", "b"], named(40), x, side(truth, 0.01, 2), {})
    other = compared(["a", "b"], named(40), x, side(np.random.default_rng(3).permutation(truth), 0.01, 4), {})
    assert same.spearman.lo > 0.8
    assert same.spearman.methods == 40
    assert same.top_quartile.methods == 10
    assert other.spearman.lo < 0 < other.spearman.hi or abs(other.spearman.value) < 0.3


def test_exact_doubles_count_once_and_lead_to_the_first_of_them():
    """A method repeated under another number adds nothing, and a best-so-far that is a double finds its value."""
    truth = np.linspace(0, 0.8, 20)
    x, y = side(truth, 0.01, 1), side(truth, 0.01, 2)
    x, y = [*x, x[19]], [*y, y[19]]
    assert doubles(x, y)[-1] == 19
    found = compared(["a", "b"], named(21), x, y, {100: 20})
    assert found.spearman.methods == 20
    assert found.pressure[0].name == "experiment 19"


def test_the_pressure_at_which_the_other_task_stops_rising():
    """The run's own value rises all the way; the other rises to the third and then falls."""
    x = side(np.linspace(0, 0.8, 20), 0.01, 1)
    y = side([0.0, 0.3, 0.6, 0.5, 0.1, *np.zeros(15)], 0.01, 2)
    found = compared(["a", "b"], named(20), x, y, {1: 0, 10: 1, 100: 2, 1000: 3, 10000: 4})
    assert found.stops_at == 100
    assert [p.experiments for p in found.pressure] == [1, 10, 100, 1000, 10000]
    assert found.pressure[4].target.value < found.pressure[2].target.value


def test_a_result_replaces_the_earlier_one_of_the_same_tiers_and_a_damaged_file_is_named(tmp_path):
    """What was measured against a third task stays."""
    truth = np.linspace(0, 0.8, 20)
    first = compared(["a", "b"], named(20), side(truth, 0.01, 1), side(truth, 0.01, 2), {})
    second = compared(["a", "c"], named(20), side(truth, 0.01, 1), side(truth, 0.01, 3), {})
    for result in (first, second, first):
        keep(tmp_path, result)
    assert [t.tiers for t in kept(tmp_path)] == [["a", "c"], ["a", "b"]]
    (tmp_path / NAME).write_text("[{]")
    with pytest.raises(UsageError, match=r"transfer\.json"):
        kept(tmp_path)


@pytest.mark.e2e
def test_transfer_of_a_run_and_what_its_report_shows(cli, finished, tmp_path):
    """The JSON has the fields that other programs read; the report has both figures; a task with other entry points and
    a run with too few methods end in one line."""
    run = shutil.copytree(finished[0] / "run", tmp_path / "run")
    found = cli.json("transfer", run, "--to", "testing/coin-v1", "--draws", 8, "--sample", 24, "--top", 4)
    assert {"tiers", "spearman", "top_quartile", "methods"} <= set(found)
    assert {"value", "lo", "hi"} <= set(found["spearman"]) & set(found["top_quartile"])
    assert len(found["methods"]) >= FEWEST
    assert {m["kind"] for m in found["methods"]} >= {"starter", "sampled"}
    assert json.loads((run / NAME).read_text())[0]["tiers"] == ["testing/coin-v1"] * 2
    assert best_so_far(read(run))
    page = tmp_path / "page.html"
    cli.run("report", run, "-o", page)
    assert page.read_text().count("One tier up") == 1
    other = cli.run("transfer", run, "--to", "proxy/reward-model-v1")
    assert other.returncode == 2
    assert "entry points" in other.stderr
    few = cli.run("transfer", run, "--to", "testing/coin-v1", "--sample", 0, "--top", 0)
    assert few.returncode == 2
    assert f"at least {FEWEST}" in few.stderr
