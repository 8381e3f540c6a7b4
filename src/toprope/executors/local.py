"""The executor `local`: scorers of this machine, each kept busy with one block and replaced when it dies."""

from __future__ import annotations

import contextlib
import math
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec

from toprope import errors, wire
from toprope.errors import NoAnswer, TooLate, WorkerDied
from toprope.executors.messages import Done, Failed, FromScorer, Load, Progress, Ready, ScorerConfig, Work
from toprope.models.broker import Broker, broker_for
from toprope.models.messages import Question
from toprope.space import Space
from toprope.tasks import mark, registry
from toprope.types import Tree

MAX_TRIES = 3  # per block: after that, the fault lies with the scorer or the machine


def _ready(selector: selectors.BaseSelector, until: float) -> list[tuple[selectors.SelectorKey, int]]:
    found = selector.select(None if until == math.inf else max(0.0, until - time.monotonic()))
    if not found or time.monotonic() > until:
        raise TooLate("the work did not end in time")
    return found


class _Worker:
    def __init__(self, config: ScorerConfig, module: str, environment: dict[str, str] | None) -> None:
        self.process, channel = wire.spawn(module, FromScorer, "a scorer", environment)
        self.channel: wire.Channel[FromScorer] = channel  # type: ignore[assignment]
        with contextlib.suppress(WorkerDied):  # if it died at once, the next `recv` notices
            self.channel.send(config)
        self.known: set[str] = set()
        self.work: Work | None = None

    def wait_ready(self, progress: Callable[[str, float], None]) -> Ready:
        while True:
            match self.channel.recv():
                case Ready() as ready:
                    return ready
                case Progress(what, done):
                    progress(what, done)
                case Failed() as failed:
                    raise failed.error()
                case other:
                    raise WorkerDied(f"a scorer sent {type(other).__name__} before it was ready")

    def close(self, patience_s: float = 0.0) -> None:
        """Ends the scorer. patience_s: time to end by itself first, so that its CPU time is counted."""
        self.channel.close()
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class LocalExecutor:
    """n scorers with one configuration; `run` distributes work and yields results as they come, in any order."""

    def __init__(
        self,
        config: ScorerConfig,
        n: int,
        progress: Callable[[str, float], None] = lambda *_: None,
        broker: Broker | None = None,
        *,
        module: str = "toprope.referee.scorer",
        environment: dict[str, str] | None = None,
    ) -> None:
        """module: what each scorer runs; the red team has one of its own. environment: added to ours. broker: of the
        model that candidates may ask, closed with the pool; None: the task's own script replaces a model."""
        self.config, self.broker = config, broker
        self._start = partial(_Worker, config, module, environment)
        self._trees: dict[str, Tree] = {}
        self._spaces: dict[str, Space] = {}
        self._workers: list[_Worker] = []
        self.restarts, self.mark = 0, dict[str, str]()
        try:
            self._workers.append(self._start())  # one first: it prepares files on disk for the others
            ready = self._ready(self._workers[0], progress)
            self.protection = ready.protection
            again = config.marked and set(config.secrets) == {"dev"}  # hidden draws are many, so one scorer is enough
            self.config = msgspec.structs.replace(config, marked=again)
            self._start = partial(_Worker, self.config, module, environment)
            for _ in range(n - 1):
                self._workers.append(self._start())
            for worker in self._workers[1:]:
                self._ready(worker, progress)
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        return [w.process.pid for w in self._workers]

    @property
    def slots(self) -> int:
        return len(self._workers)

    def load(self, tree: Tree, space: Space) -> tuple[str, str]:
        """Makes files and a space known to every scorer; returns the digests by which blocks name them."""
        t, s = tree.digest, space.digest
        self._trees.setdefault(t, tree)
        self._spaces.setdefault(s, space)
        return t, s

    def run(self, works: Iterable[Work], until: float = math.inf) -> Iterator[Done]:
        """Yields each work's answer once, in any order. Raises WorkerDied if one block ended MAX_TRIES scorers, and
        TooLate when the monotonic clock passes `until`.

        A caller may stop early: scorers that are still busy are then replaced before the next run.
        """
        queue = deque(works)
        tries: dict[int, int] = {}
        with selectors.DefaultSelector() as ready:
            idle = [w if w.work is None else self._replace(w) for w in list(self._workers)]
            if self.broker is not None:
                ready.register(self.broker, selectors.EVENT_READ)
            while queue or len(idle) < len(self._workers):
                while queue and idle:
                    worker, work = idle.pop(), queue.popleft()
                    try:
                        self._give(worker, work)
                    except WorkerDied:
                        queue.append(work)
                        idle.append(self._replace(worker))
                        continue
                    ready.register(worker.channel, selectors.EVENT_READ, worker)
                for key, _ in _ready(ready, until):
                    worker = key.data
                    if worker is None:
                        self._hand_on()
                        continue
                    done = self._result(worker)
                    if isinstance(done, Question):
                        self._ask(done, worker, ready)
                        continue
                    ready.unregister(worker.channel)
                    if done is None:
                        lost = worker.work
                        assert lost is not None
                        tries[lost.id] = tries.get(lost.id, 0) + 1
                        if tries[lost.id] >= MAX_TRIES:
                            raise WorkerDied(f"a block ended its scorer {MAX_TRIES} times; the run can be resumed")
                        queue.appendleft(lost)
                        worker = self._replace(worker)
                    else:
                        worker.work = None
                        yield done
                    idle.append(worker)

    def refresh(self) -> None:
        """Restarts scorers whose work was abandoned, while the hub is idle."""
        for worker in [w for w in self._workers if w.work is not None]:
            self._replace(worker)

    def _give(self, worker: _Worker, work: Work) -> None:
        block = work.block
        if block.tree not in worker.known:
            worker.channel.send(Load(tree=self._trees[block.tree]))
        if block.space not in worker.known:
            worker.channel.send(Load(space=self._spaces[block.space]))
        worker.known |= {block.tree, block.space}
        worker.work = work
        worker.channel.send(work)

    def _ask(self, question: Question, worker: _Worker, ready: selectors.BaseSelector) -> None:
        """Passes a question to the broker; `_hand_on` sends the reply to the scorer, which waits for it."""
        if self.broker is None:
            self.broker = broker_for(registry.load(self.config.task))
            assert self.broker is not None, "a scorer asks only if its task allows a model"
            ready.register(self.broker, selectors.EVENT_READ)
        self.broker.ask(question, worker)

    def _hand_on(self) -> None:
        """Sends replies to the scorers that wait for them. Raises NoAnswer if the provider failed for one of them."""
        assert self.broker is not None
        for worker, reply in self.broker.answers():
            if worker not in self._workers:  # replaced meanwhile
                continue
            if isinstance(reply, NoAnswer):
                raise reply
            with contextlib.suppress(WorkerDied):  # if it died meanwhile, the next `recv` notices
                worker.channel.send(reply)

    @staticmethod
    def _result(worker: _Worker) -> Done | Question | None:
        """The worker's answer, or its question to a model; None if it died or sent something else."""
        try:
            message = worker.channel.recv()
        except WorkerDied:
            return None
        if isinstance(message, Failed):
            raise message.error()
        assert worker.work is not None
        if isinstance(message, Question):
            return message
        return message if isinstance(message, Done) and message.answers(worker.work) else None

    def _replace(self, worker: _Worker) -> _Worker:
        """Replaces a scorer that is dead or whose work was abandoned; returns the new one, ready for work."""
        at = self._workers.index(worker)
        self._renew(at)
        self._ready(self._workers[at], lambda *_: None)
        return self._workers[at]

    def _renew(self, at: int) -> None:
        self.restarts += 1
        self._workers[at].close()
        self._workers[at] = self._start()

    def _ready(self, worker: _Worker, progress: Callable[[str, float], None]) -> Ready:
        """Waits for a scorer to be ready; if it dies while it starts, it is started again, MAX_TRIES times in all."""
        at = self._workers.index(worker)
        for _ in range(MAX_TRIES - 1):
            try:
                return self._alike(self._workers[at].wait_ready(progress))
            except WorkerDied:
                self._renew(at)
        return self._alike(self._workers[at].wait_ready(progress))

    def _alike(self, ready: Ready) -> Ready:
        """Raises UsageError if this scorer's draws differ from the first one's."""
        self.mark = self.mark or ready.mark
        if differ := mark.differences(self.mark, ready.mark):
            raise errors.UsageError(
                f"task {self.config.task}: {', '.join(differ)} differ between two scorers; expected a function of "
                f"split, index and seed; `toprope check {self.config.task}` names the cause"
            )
        return ready

    def close(self) -> None:
        for worker in self._workers:
            worker.channel.close()
        for worker in self._workers:
            worker.close(patience_s=1.0)
        self._workers.clear()
        if self.broker is not None:
            self.broker.close()
            self.broker = None
