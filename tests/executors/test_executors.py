"""Executors: ours keeps the contract, and an executor that breaks its promise ends the run in one line."""

import contextlib
import os
import signal

import pytest
from msgspec.structs import replace

from toprope.errors import WorkerDied
from toprope.executors import base
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.seeding import dev_secret
from toprope.testing.executors import TASK, ExecutorContract, works

pytestmark = pytest.mark.e2e


class TestLocal(ExecutorContract):
    def make_executor(self, config, workers, progress, broker):
        return LocalExecutor(config, workers, progress, broker)

    def lose(self, executor):
        with contextlib.suppress(ProcessLookupError):
            os.kill(executor.pids[0], signal.SIGKILL)


class Lying:
    """Hands on what another executor brings, changed by a function of the list of all answers."""

    def __init__(self, inner, change):
        self._inner, self._change = inner, change

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def run(self, works):
        yield from self._change(list(self._inner.run(works)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda all_: all_[1:], "1 works unanswered"),
        (lambda all_: [*all_, all_[0]], "not asked for"),
        (lambda all_: [all_[0], *all_], "not asked for"),
        (lambda all_: [replace(all_[0], floors=all_[0].floors[:1])], "not asked for"),
    ],
)
def test_an_executor_is_held_to_its_promise(change, match):
    """A missing, repeated or foreign answer is an error in one line, and never a score."""
    with contextlib.closing(LocalExecutor(ScorerConfig(TASK, {"dev": dev_secret(0)}, "linux-landlock"), 1)) as inner:
        executor = Lying(inner, change)
        with pytest.raises(WorkerDied, match=match):
            list(base.run(executor, works(inner, 3)))
