"""The executor `ray`: one actor per core of a Ray cluster, each with a scorer of its own (`executors/hand.py`).

Blocks and answers travel as bytes of our typed messages. Ray itself pickles between its processes, so every machine of
the cluster is trusted with the run process; candidates reach none of it, because their walls give them no network and
no files.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from toprope import wire
from toprope.errors import UsageError, WorkerDied
from toprope.executors.elsewhere import agreed
from toprope.executors.hand import Hand
from toprope.executors.local import MAX_TRIES
from toprope.executors.messages import Done, Failed, Load, Ready, ScorerConfig, Work
from toprope.models.broker import Broker
from toprope.space import Space
from toprope.types import Tree

MAX_LOST = 10  # actors that one block has ended, by whatever happened to their machines
LOOK_S = 2.0  # between two looks at how many cores the cluster has
STORE = 128 << 20  # bytes of the object store of a cluster of our own; Ray's least is 75 MiB


class _Task(NamedTuple):
    """What an actor does. work: None while it begins. round: the `run` that asked for it."""

    actor: Any
    work: Work | None
    round: int


def _ray() -> Any:
    """The module. Raises UsageError if it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it reports its use over the network otherwise
    try:
        import ray
    except ImportError as e:
        raise UsageError(f"--executor ray needs Ray ({e}); install it with `pip install 'toprope[ray]'`") from e
    return ray


def _connect(ray: Any, address: str, cores: int) -> None:
    """Connects to a cluster, or starts one of this machine, without dashboard and on loopback only. Ray's signal
    handlers are replaced by those that were there."""
    own = {"num_cpus": cores, "include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": STORE}
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        where = {"address": address} if address else {"address": "local", **own}
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as e:  # of many kinds
        why = " ".join(str(e).split())[:300]
        raise UsageError(f"Ray cluster {address or 'of this machine'} cannot be used: {why}") from e
    finally:
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError):  # outside the main thread Ray sets none
                signal.signal(number, handler)


class RayExecutor:
    """Implements `executors.base.Executor`. Each actor has one block at a time. protection: of a scorer of this
    machine; every node must hold the same tier."""

    named_again = True  # Ray unpickles what a cluster sends, so a run directory must not choose the cluster

    @staticmethod
    def argument(address: str) -> str:
        """auto or HOST:PORT of a cluster; "" for one of this machine. Raises UsageError without Ray."""
        _ray()
        return address

    def __init__(
        self,
        config: ScorerConfig,
        n: int,
        progress: Callable[[str, float], None] = lambda *_: None,
        broker: Broker | None = None,
        *,
        argument: str = "",
    ) -> None:
        """argument: address of a running cluster, all of whose cores are used. Without one, n actors run on a cluster
        of this machine's own, or on the one to which this process is connected."""
        self._ray = ray = _ray()
        terms, here = agreed("ray", config, progress, broker)
        self.protection, self.mark, self._terms = here.protection, here.mark, terms
        here.close()
        self._ours, self._most = not ray.is_initialized(), None if argument else n
        if self._ours:
            _connect(ray, argument, n)
        self._make = ray.remote(num_cpus=1, max_restarts=0)(Hand)
        self._loads: dict[str, bytes] = {}
        self._known: dict[Any, set[str]] = {}  # live actors -> digests that they were sent
        self._idle: list[Any] = []
        self._pending: dict[Any, _Task] = {}
        self._round, self._looked = 0, 0.0
        try:
            self._grow()
            progress("waiting for a core of the Ray cluster", 0.0)
            while not self._idle:
                self._look(1.0)
                self._grow()
            progress("waiting for a core of the Ray cluster", 1.0)
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> int:
        """Actors that are ready for work, at least 1."""
        return max(1, len(self._idle) + sum(t.work is not None for t in self._pending.values()))

    def load(self, tree: Tree, space: Space) -> tuple[str, str]:
        """Makes files and a space known; actors get them with the first block that names them."""
        self._loads.setdefault(tree.digest, wire.encode(Load(tree=tree)))
        self._loads.setdefault(space.digest, wire.encode(Load(space=space)))
        return tree.digest, space.digest

    def run(self, works: Iterable[Work]) -> Iterator[Done]:
        """Yields each work's answer once. Raises WorkerDied for a block that MAX_LOST actors did not survive or that
        MAX_TRIES answered wrongly, and if the cluster is gone."""
        self._round += 1  # answers to what an earlier caller abandoned are dropped
        queue, tries, lost = deque(works), dict[int, int](), dict[int, int]()
        assert all(work.split == "dev" for work in queue), "hidden work stays beside the hub"
        left = len(queue)
        while left:
            while queue and self._idle:
                self._give(self._idle.pop(), queue.popleft())
            for task, data in self._look(LOOK_S):
                if task.work is None or task.round != self._round:
                    continue
                done = self._decoded(data, Done | Failed) if data is not None else None
                if isinstance(done, Failed):
                    raise done.error()
                if done is not None and done.answers(task.work) and self._terms.kept_by(done.node):
                    left -= 1
                    yield done
                    continue
                count, most = (lost, MAX_LOST) if data is None else (tries, MAX_TRIES)
                count[task.work.id] = count.get(task.work.id, 0) + 1
                if count[task.work.id] >= most:
                    raise WorkerDied(f"a block ended its actor {most} times; the run can be resumed")
                if data is not None:
                    self._end(task.actor)
                queue.appendleft(task.work)
            self._grow()

    @staticmethod
    def _decoded(data: Any, kind: Any) -> Any:
        """The message; None for anything else."""
        try:
            return wire.decode(data, kind)
        except (ValueError, TypeError, msgspec.MsgspecError):
            return None

    # ------------------------------------------------------------ actors

    def _grow(self) -> None:
        """One actor for every core that the cluster has now: machines may come, go and come back."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        try:
            cores = int(self._ray.cluster_resources().get("CPU", 0))
        except Exception as e:
            raise self._gone(e) from e
        for _ in range(min(cores, self._most or cores) - len(self._known)):
            actor = self._make.remote(wire.encode(self._terms))
            self._known[actor] = set()
            self._pending[actor.begin.remote()] = _Task(actor, None, 0)

    def _give(self, actor: Any, work: Work) -> None:
        for digest in {work.block.tree, work.block.space} - self._known[actor]:
            actor.load.remote(self._loads[digest])
            self._known[actor].add(digest)
        self._pending[actor.score.remote(wire.encode(work))] = _Task(actor, work, self._round)

    def _look(self, patience_s: float) -> Iterator[tuple[_Task, bytes | None]]:
        """What has ended, with its bytes; None: its actor is lost. Actors that are free again stand in `_idle`."""
        try:
            ready, _ = self._ray.wait(list(self._pending), timeout=patience_s) if self._pending else ([], [])
        except Exception as e:
            raise self._gone(e) from e
        if not self._pending:
            time.sleep(patience_s)
        found = []
        for ref in ready:
            task = self._pending.pop(ref)
            try:
                data = self._ray.get(ref)
            except self._ray.exceptions.RayActorError:
                self._known.pop(task.actor, None)
                data = None
            except Exception as e:  # what an actor cannot import, or a cluster that is gone
                raise self._gone(e) from e
            if data is not None:
                self._idle.append(task.actor)
                if task.work is None:
                    self._begun(data)
            found.append((task, data))
        return iter(found)

    def _begun(self, data: bytes) -> None:
        """Raises the error of an actor that cannot begin."""
        ready = self._decoded(data, Ready | Failed)
        if not isinstance(ready, Ready):
            raise (
                ready.error() if ready is not None else WorkerDied("an actor of the Ray cluster sent another message")
            )

    def _end(self, actor: Any) -> None:
        self._known.pop(actor, None)
        if actor in self._idle:
            self._idle.remove(actor)
        self._ray.kill(actor)

    @staticmethod
    def _gone(e: Exception) -> WorkerDied:
        why = " ".join(str(e).split())[-300:]
        return WorkerDied(f"the Ray cluster cannot go on ({type(e).__name__}: {why}); the run can be resumed")

    def close(self) -> None:
        if not self._ray.is_initialized():
            return
        for actor in self._known:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        self._known.clear()
        self._idle.clear()
        self._pending.clear()
        if self._ours:
            self._ray.shutdown()
