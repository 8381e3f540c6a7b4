"""The null twin: the task's own public draws, gold that nobody can know, and the rest as it is."""

import numpy as np
import pytest

from toprope.tasks import registry


@pytest.mark.parametrize("task_id", ["testing/coin-v1", "proxy/reward-model-v1"])
def test_a_twin_shows_the_same_and_knows_something_else(task_id):
    """Public arrays are the task's, gold is not, and both are functions of split, index and seed."""
    task, twin = registry.load(task_id), registry.load(f"{task_id}~null")
    assert twin.spec.id == f"{task_id}~null"
    assert twin.starter().digest == task.starter().digest
    real, null, again, other = (t.generate("dev", i, 7) for t, i in ((task, 0), (twin, 0), (twin, 0), (twin, 1)))
    for name in real.public:
        assert np.array_equal(real.public[name], null.public[name])
    assert repr(null.private) == repr(again.private) != repr(other.private)
    assert repr(null.private) != repr(real.private)
