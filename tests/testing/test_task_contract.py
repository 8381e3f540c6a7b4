"""Every installed task and the smallest one keep the contract that is offered to everybody's; a bad one breaks it."""

from typing import Any

import msgspec
import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.protocols import Task
from toprope.tasks import registry
from toprope.testing.coin import Coin
from toprope.testing.tasks import TaskContract

pytestmark = pytest.mark.e2e

QUICK = {"control/monitor-bank-v1", "mirror/rpn-v1", "proxy/reward-model-v1"}


class TestCoin(TaskContract):
    def make_task(self) -> Task:
        return registry.load("testing/coin-v1")


@pytest.mark.parametrize("part", [name for name in vars(TaskContract) if name.startswith("test_")])
@pytest.mark.parametrize(
    "task_id", [t if t in QUICK else pytest.param(t, marks=pytest.mark.slow) for t in sorted(registry.installed())]
)
def test_installed_tasks_keep_it(task_id: str, part: str) -> None:
    """One promise of the contract, on one task."""

    class Installed(TaskContract):
        def make_task(self) -> Task:
            return registry.load(task_id)

        def ready(self) -> Task:
            try:
                return super().ready()
            except UsageError as e:  # an extra or a package that the task needs
                if "install" in str(e):
                    pytest.skip(str(e))
                raise

    getattr(Installed(), part)()


class Clock(Coin):
    """Its draws hang on how many were made before, and on numpy's global state."""

    made = 0
    space: Any  # a task's may be None

    def generate(self, split, index, seed):
        self.made += 1
        draw = super().generate(split, index, seed)
        return msgspec.structs.replace(draw, private=draw.private + self.made + np.random.random())


@pytest.mark.parametrize(
    "part", ["test_a_draw_is_a_function_of_its_arguments", "test_a_draw_leaves_global_randomness_alone"]
)
def test_a_task_that_is_no_function_breaks_it(part: str) -> None:
    """The contract is not kept by everything."""

    class Bad(TaskContract):
        def make_task(self) -> Task:
            return Clock("testing/coin-v1", 250)

    with pytest.raises(AssertionError):
        getattr(Bad(), part)()
