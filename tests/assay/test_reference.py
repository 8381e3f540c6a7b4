"""The reference table: tuned baselines are the method's own points, chosen on dev alone."""

import json

import msgspec
import numpy as np
import pytest

from toprope.assay import reference
from toprope.assay.reference import point, points, pool_of, spread, table, tune
from toprope.errors import UsageError
from toprope.referee.panel import Column
from toprope.tasks import registry
from toprope.tasks.new import new
from toprope.tasks.spec import with_tuned
from toprope.view import text

pytestmark = pytest.mark.e2e

PROXY = "proxy/reward-model-v1"


@pytest.fixture(scope="module")
def task():
    return registry.load(PROXY)


@pytest.fixture(scope="module")
def pool(task):
    pool = pool_of(task, 1, 1)
    yield pool
    pool.close()


def test_points_are_the_default_and_distinct_choices_of_the_methods_own_dimensions(task):
    """Nothing else of the space moves; a method with few points is not asked for more; the seed fixes them."""
    baseline = task.baselines()["ensemble"]
    found = points(task, baseline, 40, 3)
    assert found[0].params == baseline.params
    assert len({c.id for c in found}) == 40
    assert {name for c in found[1:] for name in c.params} == {*baseline.params, *baseline.own}
    assert [c.id for c in points(task, baseline, 40, 3)] == [c.id for c in found]
    few = msgspec.structs.replace(baseline, own=("labellers",))
    assert len(points(task, few, 40, 3)) == 4
    with pytest.raises(UsageError, match="beauty"):
        points(task, msgspec.structs.replace(baseline, own=("beauty",)), 4, 3)


def test_tuning_never_chooses_worse_on_dev_than_it_could(task, pool):
    """The record's parameters are one of the points, and its dev value is that point's."""
    baseline = msgspec.structs.replace(task.baselines()["audit-residual"], own=("audit",))
    short = msgspec.structs.replace(task.spec, splits=msgspec.structs.replace(task.spec.splits, rungs=[2, 4]))
    task_ = registry.load(PROXY)
    task_.spec = short
    record = tune(task_, baseline, pool, 8, 1)
    assert record["points"] == 8
    assert record["params"] in [c.params for c in points(task_, baseline, 8, 1)]


def test_a_default_that_is_unlucky_at_first_meets_all_draws(task, monkeypatch):
    """No comparison has fewer than FEWEST draws, and the default, last in the first one, wins the last one."""
    baseline = msgspec.structs.replace(task.baselines()["audit-residual"], own=("audit",))
    asked = registry.load(PROXY)
    asked.spec = msgspec.structs.replace(task.spec, splits=msgspec.structs.replace(task.spec.splits, rungs=[2, 8, 16]))
    default, counts = points(asked, baseline, 8, 1)[0], []

    def played(pool, split, candidates, count):
        counts.append(count)
        is_best = count == 16
        value = {c.id: 0.5 + (0.3 if is_best else -0.3) * (c == default) for c in candidates}
        each = np.zeros(count), np.ones(count), np.zeros(count, int)
        return [Column(np.full(count, value[c.id]), *each) for c in candidates]

    monkeypatch.setattr(reference, "columns", played)
    record = tune(asked, baseline, None, 8, 1)
    assert counts == [8, 16]
    assert (record["params"], record["dev"]) == (default.params, 0.8)


def test_the_table_shows_failures_and_added_points(task, pool):
    """One row each, in order; the row that others are compared with gains nothing over itself."""
    result = table(task, pool, 4, {"mine": {"clip": 1.3}})
    lines = text.reference(result).splitlines()
    names = [line.split("|")[1].strip() for line in lines]
    assert names == ["candidate", "---", "starter", *task.baselines(), "mine"]
    assert lines[2].endswith("| +0.000 ± 0.000 |")
    over = table(task, pool, 4, {}, against="ensemble")["rows"]
    gains = {row["candidate"]: row["gain"]["value"] for row in result["rows"]}
    assert over[0]["gain"]["value"] == pytest.approx(
        gains["starter"] - gains["ensemble"],
        abs=task.spec.metric.tolerance,  # variants are played in other company
    )
    with pytest.raises(UsageError, match="'mine'"):
        table(task, pool, 4, {}, against="mine")
    assert point(task, {"clip": 1.29}).params["clip"] == 1.3


def test_tuned_points_stand_beside_their_defaults(task, tmp_path):
    """Only for the task they were found on."""
    own = {"a": msgspec.structs.replace(task.baselines()["ensemble"], params={"l2": 1.0})}
    (tmp_path / "tuned.json").write_text(json.dumps({PROXY: {"a": {"params": {"l2": 3.0}}}}))
    found = with_tuned(tmp_path, PROXY, own)
    assert [(n, b.tuned, b.params["l2"]) for n, b in found.items()] == [("a", False, 1.0), ("a (tuned)", True, 3.0)]
    assert with_tuned(tmp_path, "proxy/other-v1", own) == own


def test_spread_is_that_of_two_good_points(task, pool):
    """In between nothing and the whole range of a score; a task without a space is refused."""
    assert 0 < spread(task, pool, 8, 4, 1) < 0.5
    for few in ((1, 8), (20, 1)):
        with pytest.raises(UsageError, match="at least 2"):
            spread(task, pool, *few, 1)
    bare = registry.load(PROXY)
    bare.space = None
    with pytest.raises(UsageError, match="no space"):
        spread(bare, pool, 8, 4, 1)


@pytest.mark.slow
def test_the_command_prints_the_table_or_one_line(cli, tmp_path):
    """One object, and for each mistake one line that names it."""
    result = cli.json("reference", "testing/coin-v1", "--draws", 4, "--workers", 1)
    assert [row["candidate"] for row in result["rows"]] == ["starter", "another face"]
    assert set(result["rows"][0]["dev"]) == {"value", "lo", "hi", "failed"}
    (tmp_path / "list.json").write_text("[1]")
    for options, named in (
        (["--add", f"mine={tmp_path / 'none.json'}"], "none.json"),
        (["--add", f"mine={tmp_path / 'list.json'}"], "NAME=FILE"),
        (["--tune", 3], "dimensions to tune"),
    ):
        done = cli.run("reference", "testing/coin-v1", "--workers", 1, *options)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert named in done.stderr


@pytest.mark.slow
def test_tuning_is_kept_beside_the_task(cli, tmp_path, monkeypatch):
    """`--tune` writes tuned.json into the task's folder, and the next table has a tuned row."""
    monkeypatch.setenv("TOPROPE_TASKS", "")
    new(tmp_path / "task", "own/tuned-v1")
    result = cli.json("reference", tmp_path / "task", "--tune", 2, "--workers", 1)
    assert result["path"] == str(tmp_path / "task" / "tuned.json")
    (name,) = result["tuned"]
    table = cli.run("reference", tmp_path / "task", "--draws", 2, "--workers", 1).stdout
    assert f"| {name} (tuned) |" in table
