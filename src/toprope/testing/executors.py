"""The contract of an executor as a test class, for our executors and those of other packages.

    class TestMine(ExecutorContract):
        def make_executor(self, config, workers, progress, broker):
            return MyExecutor(config, workers, progress, broker)

pytest collects the inherited tests. This module does not import pytest. `lose` ends scorers that are at work, if the
executor can lose processes or machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Done, ScorerConfig, Work
from toprope.models.broker import Broker
from toprope.seeding import dev_secret
from toprope.tasks import registry
from toprope.types import Block

TASK = "testing/rough-coin-v1"
FACES = 6


def works(executor: Executor, n: int, draws: int = 4) -> list[Work]:
    """n blocks of two variants on a few dev draws each; the second variant of every third block crashes."""
    task = registry.load(TASK)
    assert task.space is not None
    names = executor.load(task.starter(), task.space)
    out = []
    for i in range(n):
        rows = np.array([task.space.encode({"face": i % FACES, "skill": 0.1, "act": act}) for act in ("ok", _act(i))])
        out.append(Work(i, Block(*names, rows, tuple(range(i, i + draws)), 2 * i), "dev", detail=True))
    return out


def _act(i: int) -> str:
    return "ok" if i % 3 else "crash"


def columns(done: Done) -> tuple[bytes, list[str], bytes, bytes]:
    """The parts of an answer that depend only on the work."""
    return (
        done.result.scores.tobytes(),
        list(map(str, done.result.outcomes)),
        done.floors.tobytes(),
        done.ceilings.tobytes(),
    )


class ExecutorContract:
    """Inherit from it and define `make_executor`; define `lose` if the executor can lose work."""

    tier = "linux-landlock"

    def make_executor(
        self, config: ScorerConfig, workers: int, progress: Callable[[str, float], None], broker: Broker | None
    ) -> Executor:
        """A fresh executor that is ready for work."""
        raise NotImplementedError

    def lose(self, executor: Executor) -> None:
        """Ends scorers that are at work, as if a machine died. The default does nothing."""

    @contextmanager
    def _executor(self, workers: int = 2, seed: int = 0) -> Iterator[Executor]:
        config = ScorerConfig(TASK, {"dev": dev_secret(seed)}, self.tier, marked=True)
        executor = self.make_executor(config, workers, lambda *_: None, None)
        try:
            yield executor
        finally:
            executor.close()

    def test_it_says_what_it_is(self) -> None:
        """Protection, digests of draws and number of slots are known as soon as it is made."""
        with self._executor() as executor:
            assert executor.protection["tier"] == self.tier
            assert set(executor.mark) == {"dev draws"}
            assert executor.slots >= 1

    def test_same_columns_as_one_scorer_of_this_machine(self) -> None:
        """Every answer comes once and equals, byte for byte, the answer of a single local scorer."""
        with self._executor() as executor:
            found = {done.id: columns(done) for done in base.run(executor, works(executor, 12))}
        one = LocalExecutor(ScorerConfig(TASK, {"dev": dev_secret(0)}, self.tier), 1)
        try:
            assert found == {done.id: columns(done) for done in one.run(works(one, 12))}
        finally:
            one.close()

    def test_lost_work_is_done_again(self) -> None:
        """Scorers that die meanwhile change neither the answers nor their number."""
        with self._executor() as executor:
            calm = {done.id: columns(done) for done in base.run(executor, works(executor, 12))}
            rough = {}
            for count, done in enumerate(base.run(executor, works(executor, 12))):
                rough[done.id] = columns(done)
                if count in (1, 5):
                    self.lose(executor)
        assert rough == calm

    def test_no_work_no_answer(self) -> None:
        """An empty list of works ends at once."""
        with self._executor(1) as executor:
            assert list(base.run(executor, [])) == []

    def test_a_caller_may_stop_early(self) -> None:
        """Answers to abandoned work never count as answers to later work."""
        with self._executor() as executor:
            for _ in executor.run(works(executor, 6)):
                break
            fresh = works(executor, 3, draws=1)
            assert {d.id: d.result.scores.shape for d in base.run(executor, fresh)} == dict.fromkeys(range(3), (2, 1))

    def test_the_seed_reaches_the_scorers(self) -> None:
        """Another dev secret gives other draws."""
        with self._executor(1, seed=0) as first, self._executor(1, seed=1) as second:
            assert first.mark != second.mark

    def test_it_may_be_closed_twice(self) -> None:
        """Closing again is allowed."""
        with self._executor(1) as executor:
            executor.close()
