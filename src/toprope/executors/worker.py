"""`toprope worker PATH`: does the practice work of runs that share a directory (`executors/directory.py`).

One process per node. Each of its lanes has one scorer and takes one block at a time; the main thread touches leases.
The directory never names code: a node knows the tasks that are installed there, or that its own user names.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from toprope.errors import TopropeError, UsageError
from toprope.executors import shelf
from toprope.executors.directory import LEASE_S, QUICKEST_S
from toprope.executors.elsewhere import Lane, Terms
from toprope.executors.messages import Done, Failed, Load, Work
from toprope.space import Space
from toprope.types import Tree
from toprope.version import __version__

BEAT_S = 1.0  # between two touches
SCORERS = 2  # sessions for which a lane keeps its scorer: it works for another one while a run waits at a barrier
IDLE_S = 0.5  # longest pause between two looks for work
TAKEN_FROM = 8  # one of the first few works is taken, so that many workers do not all reach for the same file


class Claim(NamedTuple):
    """A work that this worker has taken. lease: the file that says so."""

    session: Path
    name: str
    work: Work
    lease: Path


class Worker:
    """Lanes that work for every session of a directory."""

    def __init__(self, path: Path, lanes: int, trust: bool, say: Callable[[str], None]) -> None:
        """trust: also work for runs that trust their candidates, which have no sandbox. say: shows a line."""
        self.path, self._lanes, self._trust, self._say = shelf.made(path), lanes, trust, say
        node = socket.gethostname()
        self.name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{node}-{os.getpid()}-{secrets.token_hex(3)}")
        self._own = self.path / "workers" / self.name
        shelf.put(self._own, shelf.Worker(node, lanes, __version__))
        self._turn = threading.Lock()  # one lane looks for work at a time
        self._held: dict[Path, Claim] = {}  # by lease
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._busy = time.monotonic()  # when there was work last
        self.done: Counter[str] = Counter()  # task -> blocks

    def work(self, idle_exit: float | None = None) -> None:
        """Works until it is interrupted, or has waited for work for `idle_exit` seconds. Raises UsageError if a run's
        task differs here, NoProtection if its sandbox does not hold here."""
        threads = [threading.Thread(target=self._lane, daemon=True) for _ in range(self._lanes)]
        for thread in threads:
            thread.start()
        shown = 0
        try:
            while not self._ended.wait(BEAT_S if idle_exit is None else min(BEAT_S, idle_exit / 2)):
                shelf.touch(self._own)
                for lease in list(self._held):
                    shelf.touch(lease)
                if self._held:
                    self._busy = time.monotonic()
                if (total := sum(self.done.values())) != shown:
                    shown = total
                    said = ", ".join(f"{n} of {task}" for task, n in sorted(self.done.items()))
                    self._say(f"{self.name}: {len(self._held)} of {self._lanes} lanes busy; blocks done: {said}")
                if idle_exit is not None and time.monotonic() - self._busy > idle_exit:
                    self._ended.set()
        finally:
            self._ended.set()
            self._give_back()
            self._own.unlink(missing_ok=True)
        for thread in threads:
            thread.join(5.0)
        if self._failure is not None:
            raise self._failure

    def _give_back(self) -> None:
        for claim in list(self._held.values()):
            shelf.moved(claim.lease, claim.session / "todo" / claim.name)

    # ------------------------------------------------------------ one lane

    def _lane(self) -> None:
        scorers: dict[Path, Lane] = {}  # by session, the last one last
        try:
            while (session := self._waits_for_us(next(reversed(scorers), None))) is not None:
                scorer = scorers.pop(session, None) or self._joined(session)
                if scorer is None:
                    continue
                scorers[session] = scorer
                if len(scorers) > SCORERS:
                    scorers.pop(next(iter(scorers))).close()
                if (claim := self._claim(session)) is not None:
                    self._score(claim, scorer)
        except BaseException as e:  # shown by the main thread
            self._failure = self._failure or e
            self._ended.set()
        finally:
            for scorer in scorers.values():
                scorer.close()

    def _waits_for_us(self, last: Path | None) -> Path | None:
        """A session with work to do, that of the last work first; None when the worker ends."""
        pause = QUICKEST_S
        with self._turn:
            while not self._ended.is_set():
                sessions = [self.path / "sessions" / name for name in shelf.names(self.path / "sessions")]
                random.shuffle(sessions)
                for session in sorted(sessions, key=lambda s: s != last):
                    if shelf.names(session / "todo") and self._lives(session):
                        return session
                self._ended.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, IDLE_S)
        return None

    def _lives(self, session: Path) -> bool:
        """Whether its run is at work: the work of a run that was killed is left alone."""
        return shelf.age(session / "alive", shelf.now(self._own)) < LEASE_S

    def _joined(self, session: Path) -> Lane | None:
        """A scorer under the session's terms; None if the session is over."""
        try:
            terms: Terms = shelf.get(session / "terms", Terms)
        except OSError:
            return None
        except shelf.Unreadable:
            raise UsageError(
                f"the terms of a run in {self.path} cannot be read by toprope {__version__}; install the run's version"
            ) from None
        try:
            if terms.tier == "none" and not self._trust:
                raise UsageError(
                    f"a run in {self.path} trusts its candidates, which would run without a sandbox; if you do, too, "
                    "start the worker with --i-trust-the-candidates"
                )
            return Lane(terms)
        except TopropeError as e:
            with contextlib.suppress(OSError):
                shelf.put(session / "refused" / self.name, str(e))
            raise

    def _claim(self, session: Path) -> Claim | None:
        if (session / "barred" / self.name).exists():
            raise UsageError(
                f"worker {self.name} sent a wrong answer, and the run takes no more from it; repair its node"
            )
        some = shelf.names(session / "todo")[:TAKEN_FROM]
        random.shuffle(some)
        for name in some:
            lease = session / "taken" / f"{name}+{self.name}"
            if not shelf.moved(session / "todo" / name, lease):
                continue
            shelf.touch(lease)  # a rename keeps the time at which the work was written
            try:
                claim = Claim(session, name, shelf.get(lease, Work), lease)
            except (OSError, shelf.Unreadable):
                continue  # gone again, or not of our version: its lease expires
            self._held[lease] = claim
            return claim
        return None

    def _score(self, claim: Claim, lane: Lane) -> None:
        """Scores a block and leaves the answer, or the error that prevents one."""
        answer: Done | Failed | None
        try:
            answer = lane.score(claim.work, *self._files(claim))
        except (FileNotFoundError, shelf.Unreadable):  # the run is over
            answer = None
        except TopropeError as e:
            answer = Failed(f"node {lane.node.name}: {e}", e.exit_code)
        try:
            if answer is not None and not self._ended.is_set():
                with contextlib.suppress(FileNotFoundError):
                    shelf.put(claim.session / "done" / claim.name, answer)
                    self.done[lane.terms.task] += 1
        finally:
            self._held.pop(claim.lease, None)
        claim.lease.unlink(missing_ok=True)
        self._busy = time.monotonic()

    @staticmethod
    def _files(claim: Claim) -> tuple[Tree, Space]:
        block = claim.work.block
        tree = shelf.get(claim.session / "files" / block.tree, Load).tree
        space = shelf.get(claim.session / "files" / block.space, Load).space
        if tree is None or space is None or (tree.digest, space.digest) != (block.tree, block.space):
            raise shelf.Unreadable("files that differ from their digests")
        return tree, space
