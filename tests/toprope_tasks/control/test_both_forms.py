"""The starters' batched forms: the same answers as their plain forms, to the last bit."""

from typing import Any

import numpy as np
import pytest

from studies.control.play import batched, outputs
from toprope_tasks.control import attack, make

TASKS: dict[str, Any] = {"protocol": make("control/protocol-v1"), "attack": attack.make("control/attack-v1")}


def alike(task, draw, n, seed):
    """Plays n random rows in both forms and compares everything that a dialogue ends with."""
    rng, sizes = np.random.default_rng(seed), task.space.sizes.astype(int) + 1
    rows = rng.integers(0, sizes, (n, len(sizes))).astype(np.uint8)
    rows[0] = task.space.default()
    plain = outputs(task, task.starter(), draw, [task.space.decode(row) for row in rows])
    both = batched(task, task.starter(), draw, task.space, rows)
    assert plain.keys() == both.keys()
    for name, values in plain.items():
        assert np.array_equal(values, both[name]), name
    assert len(np.unique(task.score(plain, draw))) > n / 5


@pytest.mark.parametrize("name", TASKS)
def test_both_forms_answer_alike(name):
    """64 random rows and the default on a practice draw: the same actions and scores, so the tolerance is 0."""
    assert TASKS[name].spec.metric.tolerance == 0
    alike(TASKS[name], TASKS[name].generate("dev", 0, 5), 64, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_both_forms_answer_alike_on_many_rows(name):
    """1,000 random rows over practice and hidden draws."""
    for i, split in enumerate(("dev", "dev", "val", "test")):
        alike(TASKS[name], TASKS[name].generate(split, i, 6), 250, i + 1)
