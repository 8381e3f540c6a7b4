"""`toprope check` and the conditions of a space: those of shipped tasks hold, and a wrong one is found and named."""

import msgspec
import pytest

from toprope.assay.fit import conditions
from toprope.space import Dim, Space
from toprope.tasks import registry

pytestmark = pytest.mark.e2e

SHIPPED = [
    "monitorability/scratchpad-v1",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "control/attack-v1",
            "control/codewatch-v1",
            "control/protocol-v1",
            "proxy/reward-model-v1",
            "w2s/bank-v2",
        )
    ),
]


class Claims:
    """A task whose space says what it likes."""

    def __init__(self, task, **when):
        self._task = task
        dims = [msgspec.structs.replace(d, when=when.get(d.name, d.when)) for d in task.space.dims]
        self.space = Space(dims, task.space.slots)

    def __getattr__(self, name):
        return getattr(self._task, name)


def checked(task):
    return list(conditions.conditions(task, 2))


@pytest.mark.parametrize("task", SHIPPED)
def test_conditions_of_shipped_tasks_are_true(task):
    """48 random points score as the points do whose parameters without effect are at their defaults."""
    (check,) = checked(registry.load(task))
    assert check.ok, check.why


def test_a_wrong_condition_is_found_and_named():
    """`audit` matters wherever there are labellers, so a condition on their use is wrong."""
    task = Claims(registry.load("proxy/reward-model-v1"), audit=[{"labellers": ["drop"]}])
    (check,) = checked(task)
    assert not check.ok
    assert check.value > 0
    assert "; first audit, at {" in check.why


@pytest.mark.slow
def test_a_wrong_condition_is_found_where_scores_have_a_tolerance():
    """Scores of weak-to-strong may differ by the last bits; a filter that needs `neighbours` differs by more."""
    task = Claims(registry.load("w2s/bank-v2"), neighbours=[{"vote": ["knn"]}])
    (check,) = checked(task)
    assert not check.ok
    assert "; first neighbours, at {" in check.why


def test_a_space_without_conditions_is_not_checked():
    """There is nothing to compare."""
    assert Dim("x", [1]).when == []
    assert checked(registry.load("testing/coin-v1")) == []
