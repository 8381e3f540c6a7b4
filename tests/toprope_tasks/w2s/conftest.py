"""One small bank per side for the whole session: 4,000 prompts an operation instead of 8,000."""

import pytest
from tiny_models import causal, encoder, smollm2  # noqa: F401 (fixtures)

from toprope_tasks.w2s.task import WeakToStrong

LINES = 4000


@pytest.fixture(scope="session")
def task(cache_of_states):
    return WeakToStrong("w2s/probe-v1", lines_per_op=LINES)


@pytest.fixture(scope="session")
def dev(task):
    """The first twelve dev draws."""
    return [task.generate("dev", i, 1) for i in range(12)]
