"""`w2s/probe-v2`: its levels, its draws, and that the tasks of version 1 stayed what they were."""

import json

import numpy as np
import pytest

from studies.w2s import admission, calibrate
from toprope.tasks.trusted import load
from toprope_tasks.w2s import cells, draws
from toprope_tasks.w2s.mixed.task import MixedTask
from toprope_tasks.w2s.space import grammar
from toprope_tasks.w2s.task import VISIBLE, WeakToStrong

HIDDEN = cells.LEVELS["hidden"]
V1 = [(0.787, 0.999), (0.72, 0.929), (0.876, 0.997), (0.682, 0.999), (0.792, 0.992), (0.879, 0.998)]


@pytest.fixture(scope="module")
def mixed(cache_of_states):
    return WeakToStrong("w2s/probe-v2", lines_per_op=4000)


@pytest.fixture(scope="module")
def first(mixed):
    """Dev draws 0 to 11: three of each level."""
    return [mixed.generate("dev", i, 1) for i in range(12)]


def test_hidden_levels_are_other_ones():
    """No noise and no number of gold labels is on both sides, and blur goes beyond what is visible."""
    visible, hidden = (cells.admitted("mixed", side) for side in ("visible", "hidden"))
    assert not {c.noise for c in visible} & {c.noise for c in hidden}
    assert {c.blur for c in visible} & {c.blur for c in hidden} == set()
    assert not {c.labels for c in visible} & {c.labels for c in hidden}
    assert not {c.concept for c in visible} & {c.concept for c in hidden}
    assert max(c.blur for c in hidden) > max(c.blur for c in visible)


def test_dev_draws_take_turns_over_levels_and_lineages():
    """52 different visible cells, each at its level of the rotation; every level meets every lineage."""
    visible, levels = cells.admitted("mixed", "visible"), cells.LEVELS["visible"]
    assert len(visible) == len(set(visible)) == 52
    assert all(cells.at(levels[i % len(levels)], "visible", [cell]) for i, cell in enumerate(visible))
    assert len({(i % len(levels), i % len(VISIBLE)) for i in range(52)}) == len(levels) * len(VISIBLE)


def test_hidden_draws_have_their_levels_at_random(mixed):
    """40 hidden draws show every level, not in turn, and no visible question."""
    said = [mixed.generate("measure", i, 2).private.about for i in range(40)]
    names = [{c.name for c in cells.at(level, "hidden", cells.admitted("mixed", "hidden"))} for level in HIDDEN]
    which = [next(i for i, some in enumerate(names) if name in some) for name in said]
    assert set(which) == set(range(len(HIDDEN)))
    assert which[:8] != [*range(4), *range(4)]


def test_groups_number_questions(first):
    """Draws of one question have one group at every level; different questions have different ones."""
    asked = [c for tier, side in cells.CONCEPTS for c in cells.candidates(tier, side)]
    numbers = {(c.ops, c.concept): cells.question(c) for c in asked}
    assert len(set(numbers.values())) == len(numbers)
    assert [d.group for d in first] == [numbers[c.ops, c.concept] for c in cells.admitted("mixed", "visible")[:12]]


def test_draws_look_like_those_of_real_banks(first, dev):
    """Neighbours, dimensions, ceilings and floors lie in the ranges of real banks, whose means are in
    docs/results/does-it-transfer.md; draws of version 1 lie outside of all but one."""
    now, before = ([calibrate.figures(draw) for draw in some] for some in (first, dev))
    ranges = {"purity 50": (0.6, 0.85), "dimensions": (15, 42), "ceiling": (0.77, 0.93), "floor": (0.6, 0.85)}
    for name, (low, high) in ranges.items():
        assert low < np.mean([f[name] for f in now]) < high, name
    for name in ("purity 50", "dimensions", "ceiling"):
        assert not ranges[name][0] < np.mean([f[name] for f in before]) < ranges[name][1], name


def test_prior_is_that_of_real_banks(first):
    """The share of class 1 lies in [.3, .7]."""
    shares = [draw.private.pool_labels.mean() for draw in first]
    assert 0.299 <= min(shares) < 0.4
    assert 0.6 < max(shares) <= 0.701


def test_noise_keeps_the_scale():
    """Standardised columns stay standardised; no noise returns the states themselves."""
    x = np.random.default_rng(0).standard_normal((4000, 5), dtype=np.float32)
    rough = draws.noisy(x, 1.4, np.random.default_rng(1))
    assert rough.std(0) == pytest.approx(1, abs=0.03)
    assert np.corrcoef(rough[:, 0], x[:, 0])[0, 1] == pytest.approx(1 / np.hypot(1, 1.4), abs=0.03)
    assert draws.noisy(x, 0.0, np.random.default_rng(1)) is x
    assert (draws.blurred([3 * x], 0.7, np.random.default_rng(1))[0] - 3 * x).std() == pytest.approx(2.1, abs=0.03)


def test_version_1_is_what_it_was(task):
    """Anchors of the first draws of `w2s/probe-v1`, recorded before `w2s/probe-v2` came."""
    found = [task.generate(split, i, 1) for split in ("dev", "measure") for i in range(3)]
    assert [(d.floor, d.ceiling) for d in found] == V1
    assert {d.group for d in found} == {0}


def test_every_admitted_mixed_cell_passes_the_rule():
    """The record holds figures that the rule admits, for cells among the candidates."""
    record = json.loads(cells.MIXED.read_text())
    for side in ("visible", "hidden"):
        rows = record[f"mixed/{side}"]
        assert all(admission.passes("mixed", row) for row in rows)
        assert set(cells.admitted("mixed", side)) <= set(cells.candidates("mixed", side))
    assert not admission.passes("mixed", {**rows[0], "gap": 0.04})
    assert not admission.passes("mixed", {**rows[0], "weak": 0.59})


@pytest.mark.slow
def test_the_record_is_what_the_code_makes(cache_of_states):
    """Figures of three recorded cells, measured again on the whole banks."""
    record = json.loads(cells.MIXED.read_text())
    per_cell = int(record["command"].split("--per-cell ")[1].split()[0])
    samplers = admission.samplers("visible")
    for row, cell in list(zip(record["mixed/visible"], cells.admitted("mixed", "visible"), strict=True))[:3]:
        found = admission.look("mixed", "visible", cell, samplers, per_cell)
        assert found == pytest.approx({name: row[name] for name in found}, abs=2e-3)


def test_smoothing_moves_rows_towards_their_neighbours():
    """Two far clusters stay apart and shrink by the share; no share leaves all as it is."""
    blocks = load(MixedTask("w2s/probe-v2").starter()).blocks
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((300, 4)), 50 + rng.standard_normal((300, 4))]).astype(np.float32)
    pool = blocks.Pool(x, np.full(600, 0.5))
    z, moved = pool.axes.z, blocks.smoothed(pool, 0.8, 80, rng).z
    assert abs(z[:300, 0].mean() - z[300:, 0].mean()) > 3
    for half in (slice(None, 300), slice(300, None)):
        assert np.linalg.norm(moved[half].mean(0) - z[half].mean(0)) < 0.2
        assert (moved[half].std(0) < 0.7 * z[half].std(0)).all()
    assert blocks.smoothed(pool, 0.0, 80, rng) is pool.axes


def test_every_smoothing_setting_is_a_point_of_the_grammar():
    """The grammar of version 2 adds one slot; its default is vanilla and all its baselines lie in it."""
    task = MixedTask("w2s/probe-v2")
    assert len(task.space.slots) == len(grammar().slots) + 1
    names = {d.name for d in task.space.dims} | {"degree"}  # of the quadratic student, which lies in neither
    assert all(set(b.params) <= names for b in task.baselines().values())
    assert task.space.decode(task.space.default())["smooth"] == 0.0
