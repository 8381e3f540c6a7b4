"""Real scorers on the coin, shared by the tests of a file."""

import pytest

from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.protocols import TaskSpec
from toprope.tasks import registry
from toprope.types import Candidate

ROUGH = "testing/rough-coin-v1"
HIDDEN = dict.fromkeys(("dev", "val", "measure", "test"), b"a secret for tests")


@pytest.fixture(scope="module")
def pool():
    scorers = LocalExecutor(ScorerConfig(ROUGH, HIDDEN, "linux-landlock"), 2)
    yield scorers
    scorers.close()


@pytest.fixture(scope="module")
def task():
    return registry.load(ROUGH)


@pytest.fixture
def spec(task) -> TaskSpec:
    return task.spec


@pytest.fixture
def coin(task):
    """A candidate with this face, skill and behaviour."""

    def make(face: int = 0, skill: float = 0.0, act: str = "ok") -> Candidate:
        return Candidate(task.starter(), {"face": face, "skill": skill, "act": act})

    return make
