"""The executor `dir:PATH`: blocks of practice work through a shared directory, for clusters without a broker.

`toprope worker PATH` on any machine that shares the directory does the work (`executors/worker.py`). Work is taken by
an atomic rename and is put back when its lease expires, so a worker that is killed loses the blocks it had in flight
and nothing else. The run process reads answers, never code: `shelf.py` says what lies where.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from toprope.errors import UsageError, WorkerDied
from toprope.executors import shelf
from toprope.executors.elsewhere import agreed
from toprope.executors.messages import Done, Failed, Load, ScorerConfig, Work
from toprope.models.broker import Broker
from toprope.space import Space
from toprope.types import Tree

LEASE_S = 30.0  # a worker that has not touched its lease for so long has lost its block
BEATS = 6  # touches per lease
MAX_LOST = 10  # leases of one block: after that, the block is what ends its workers
SLOWEST_S, QUICKEST_S = 0.2, 0.005  # between two looks at the directory
OLD_S = 3600.0  # a session whose run has not touched it for so long is removed


class DirectoryExecutor:
    """Implements `executors.base.Executor`. protection: of a scorer of this machine; every node must hold the same
    tier."""

    named_again = False  # the directory must be the user's own, so `resume` may use the one that a run names

    @staticmethod
    def argument(path: str) -> str:
        """The absolute path. Raises UsageError if it is missing."""
        if not path:
            raise UsageError("--executor dir needs the shared directory; expected --executor dir:PATH")
        return str(Path(path).resolve())

    def __init__(
        self,
        config: ScorerConfig,
        n: int,
        progress: Callable[[str, float], None] = lambda *_: None,
        broker: Broker | None = None,
        *,
        argument: str,
        lease_s: float = LEASE_S,
    ) -> None:
        """n: not used; workers say how many blocks they take. argument: the directory."""
        self.path = shelf.made(Path(argument))
        self._progress, self._lease_s = progress, lease_s
        terms, here = agreed("dir", config, progress, broker)
        self.protection, self.mark, self._terms = here.protection, here.mark, terms
        here.close()
        self._sweep()
        self._session = self.path / "sessions" / secrets.token_hex(8)
        self._ended = threading.Event()
        self._files: set[str] = set()
        self._rounds = 0
        self._missing: set[str] = set()  # works without any file, at the last look
        self._waits = False
        for name in ("", "files", "todo", "taken", "done", "barred", "refused"):
            (self._session / name).mkdir(mode=0o700)
        shelf.put(self._alive, "")
        shelf.put(self._session / "terms", terms)
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    @property
    def _alive(self) -> Path:
        return self._session / "alive"

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / BEATS):
            shelf.touch(self._alive)

    def _sweep(self) -> None:
        """Removes sessions of runs that were killed long ago, and workers that ended so."""
        clock = self.path / f".{secrets.token_hex(8)}"
        clock.touch(0o600)
        try:
            now = shelf.now(clock)
            for session in shelf.names(self.path / "sessions"):
                if OLD_S < shelf.age(self.path / "sessions" / session / "alive", now) < float("inf"):
                    shutil.rmtree(self.path / "sessions" / session, ignore_errors=True)
            for worker in shelf.names(self.path / "workers"):
                if shelf.age(self.path / "workers" / worker, now) > OLD_S:
                    (self.path / "workers" / worker).unlink(missing_ok=True)
        finally:
            clock.unlink(missing_ok=True)

    @property
    def slots(self) -> int:
        """Lanes of the workers that live now, at least 1."""
        return max(1, sum(w.lanes for w in self._workers()))

    def _workers(self) -> list[shelf.Worker]:
        now, found = shelf.now(self._alive), []
        for name in shelf.names(self.path / "workers"):
            if shelf.age(self.path / "workers" / name, now) < self._lease_s:
                with contextlib.suppress(OSError, shelf.Unreadable):
                    found.append(shelf.get(self.path / "workers" / name, shelf.Worker))
        return found

    def load(self, tree: Tree, space: Space) -> tuple[str, str]:
        """Writes files and space where workers find them by digest."""
        for digest, load in ((tree.digest, Load(tree=tree)), (space.digest, Load(space=space))):
            if digest not in self._files:
                shelf.put(self._session / "files" / digest, load)
                self._files.add(digest)
        return tree.digest, space.digest

    def run(self, works: Iterable[Work]) -> Iterator[Done]:
        """Yields each work's answer once. Waits until there are workers. Raises WorkerDied for a block that
        MAX_LOST workers did not finish, and the error of a worker that cannot go on."""
        self._rounds += 1  # names of different rounds differ, so a late answer is never taken for another
        waiting = {f"{self._rounds:06d}.{i:06d}": work for i, work in enumerate(works)}
        assert all(work.split == "dev" for work in waiting.values()), "hidden work stays beside the hub"
        lost: dict[str, int] = {}
        for name, work in waiting.items():
            self._put(name, work)
        pause, looked = QUICKEST_S, time.monotonic()
        try:
            while waiting:
                found = shelf.names(self._session / "done")
                for name in found:
                    try:
                        done = self._answer(name, waiting.get(name))
                    except OSError:
                        continue  # a network file system may fail for a moment: it is looked at again
                    if done is not None:
                        del waiting[name]
                        yield done
                    elif name in waiting:
                        self._again(name, waiting[name], lost)
                if time.monotonic() - looked > self._lease_s / BEATS:
                    looked = time.monotonic()
                    self._expire(waiting, lost)
                    self._wait_for_workers()
                if not found:
                    time.sleep(pause)
                pause = QUICKEST_S if found else min(2 * pause, SLOWEST_S)
        finally:
            for name in waiting:  # the caller stopped early
                self._forget(name)

    def _put(self, name: str, work: Work) -> None:
        try:
            shelf.put(self._session / "todo" / name, work)
        except FileNotFoundError:
            raise WorkerDied(
                f"the shared directory {self._session} is gone; `toprope resume` begins a new one"
            ) from None

    def _answer(self, name: str, work: Work | None) -> Done | None:
        """The answer in a file of `done`, which is removed; None if it is late or wrong. A node that sends a wrong one
        is barred. Raises OSError if the file cannot be read, or the error of a node that cannot go on."""
        path = self._session / "done" / name
        holders = [lease for lease in shelf.names(self._session / "taken") if lease.partition("+")[0] == name]
        said: Done | Failed | None
        try:
            said = shelf.get(path, Done | Failed)
        except shelf.Unreadable:
            said = None
        self._forget(name)
        if work is None:
            return None
        if isinstance(said, Failed):
            raise said.error()
        if said is not None and said.answers(work) and self._terms.kept_by(said.node):
            return said
        for lease in holders:
            with contextlib.suppress(OSError):
                shelf.put(self._session / "barred" / lease.partition("+")[2], "")
        return None

    def _forget(self, name: str) -> None:
        """Removes every file of a work."""
        leases = [f"taken/{n}" for n in shelf.names(self._session / "taken") if n.partition("+")[0] == name]
        for at in (f"todo/{name}", f"done/{name}", *leases):
            with contextlib.suppress(OSError):
                (self._session / at).unlink()

    def _again(self, name: str, work: Work, lost: dict[str, int]) -> None:
        lost[name] = lost.get(name, 0) + 1
        if lost[name] >= MAX_LOST:
            raise WorkerDied(f"{MAX_LOST} workers did not finish the same block; the run can be resumed")
        self._put(name, work)

    def _expire(self, waiting: dict[str, Work], lost: dict[str, int]) -> None:
        """Puts back work whose lease has expired, and work that has no file at all: a server may have lost one."""
        now, taken = shelf.now(self._alive), self._session / "taken"
        for lease in shelf.names(taken):
            name = lease.partition("+")[0]
            if shelf.age(taken / lease, now) > self._lease_s:
                (taken / lease).unlink(missing_ok=True)
                if name in waiting and not (self._session / "done" / name).exists():
                    self._again(name, waiting[name], lost)
        there = {n.partition("+")[0] for at in ("todo", "taken", "done") for n in shelf.names(self._session / at)}
        missing = waiting.keys() - there
        for name in missing & self._missing:  # twice, because a file may have moved while we looked
            self._again(name, waiting[name], lost)
        self._missing = missing

    def _wait_for_workers(self) -> None:
        """Shows that nobody works, and why the last worker refused."""
        idle = not self._workers()
        if idle or self._waits:
            refused = shelf.names(self._session / "refused")
            why = ""
            if refused and idle:
                with contextlib.suppress(OSError, shelf.Unreadable):
                    why = f" ({shelf.get(self._session / 'refused' / refused[-1], str)[:300]})"
            self._progress(f"waiting for `toprope worker {self.path}`{why}", 0.0 if idle else 1.0)
        self._waits = idle

    def close(self) -> None:
        self._ended.set()
        if self._heart.is_alive():
            self._heart.join()
        shutil.rmtree(self._session, ignore_errors=True)
