"""A package of somebody else's keeps the contracts that are offered to it."""

import importlib
from pathlib import Path

import pytest

from toprope.protocols import Climber, Task
from toprope.space import Space
from toprope.testing.climbers import ClimberContract
from toprope.testing.tasks import TaskContract

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _its_modules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "thirdparty" / "src")


class TestHill(ClimberContract):
    def make_climber(self, space: Space, seed: int) -> Climber:
        return importlib.import_module("otherlab.hill").Hill(space, seed)


class TestThing(TaskContract):
    def make_task(self) -> Task:
        return importlib.import_module("otherlab.thing").make("otherlab/thing-v1")
