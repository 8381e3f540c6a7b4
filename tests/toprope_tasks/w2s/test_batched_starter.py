"""The batched form of the method grammar against the plain one, on points of the grammar."""

import numpy as np
import pytest

from toprope.climbers.random import uniform_rows
from toprope.tasks.trusted import load
from toprope_tasks.w2s.baselines import METHODS, SMOOTHING
from toprope_tasks.w2s.mixed.task import MixedTask

TASK = MixedTask("w2s/probe-v2")
STARTER = load(TASK.starter())
UNSTABLE = 0.03  # share of random points whose answer hangs on the last bits, such as a median of equal numbers


def scores(draw, params, batched):
    """(k,) scores of parameter dictionaries on a draw, by one form."""
    shown = dict(draw.public)
    features, weak = shown.pop("pool_features"), shown.pop("pool_weak_probs")
    if batched:
        columns = {name: np.array([p[name] for p in params]) for name in params[0]}
        found = STARTER.targets_batched(
            features, weak, params=columns, new_rng=lambda: np.random.default_rng(1), **shown
        )
    else:
        each = [STARTER.targets(features, weak, params=p, rng=np.random.default_rng(1), **shown) for p in params]
        found = [np.array(part) for part in zip(*each, strict=True)]
    return TASK.score({"soft_targets": found[0], "weights": found[1]}, draw)


def compared(draw, rows):
    """(k,) differences of the two forms, over blocks of 64 rows."""
    params = [TASK.space.decode(row) for row in rows]
    blocks = [params[i : i + 64] for i in range(0, len(params), 64)]
    return np.concatenate([scores(draw, b, True) - scores(draw, b, False) for b in blocks])


def random_rows(n, seed):
    return uniform_rows(np.random.default_rng(seed).random((n, len(TASK.space.dims))), TASK.space.sizes + 1.0)


def agree(difference, tolerance=TASK.spec.metric.tolerance):
    """The two forms are the same but for points that no rounding leaves alone."""
    assert np.mean(np.abs(difference) > tolerance) <= UNSTABLE
    assert abs(difference.mean()) <= tolerance


@pytest.mark.slow
def test_random_points_score_alike(dev):
    """Forty points of the grammar with every block in use."""
    agree(compared(dev[1], random_rows(40, 0)))


def test_published_methods_score_exactly_alike(dev):
    """Every baseline at its defaults, all in one block."""
    default = TASK.space.decode(TASK.space.default())
    points = [default | m.params for m in (METHODS | SMOOTHING).values() if set(m.params) <= set(default)]
    assert len(points) > 20
    difference = scores(dev[1], points, True) - scores(dev[1], points, False)
    assert np.abs(difference).max() <= TASK.spec.metric.tolerance


@pytest.mark.slow
def test_a_thousand_random_points_score_alike(dev):
    """The same over 1,000 points."""
    agree(compared(dev[1], random_rows(1000, 1)))
