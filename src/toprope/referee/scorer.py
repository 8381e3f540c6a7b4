"""A scorer: one process, one core. Regenerates draws, talks to candidates in its sandbox, returns columns of scores.

Started by exec with a socket, never by fork, so it shares no memory with the climber. Gold lives in this process only;
candidate code runs in the zygote's children only; what comes back is checked bytes. The zygote starts before any gold.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable

import numpy as np

from toprope import wire
from toprope.errors import TopropeError, UsageError, WorkerDied
from toprope.protocols import Dialogue, Outputs, Task, counting
from toprope.referee import mark
from toprope.referee.asking import Asking
from toprope.referee.draws import DrawStore, Held
from toprope.referee.imports import denied, invalid
from toprope.referee.messages import (
    Done,
    Failed,
    Load,
    Progress,
    Question,
    Ready,
    Reply,
    ScorerConfig,
    ToScorer,
    Work,
)
from toprope.referee.traps import Traps, used
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.kernel import harden_worker
from toprope.space import Space
from toprope.tasks import registry
from toprope.types import Block, BlockResult, Floats, Incident, Tree


class Scorer:
    """The state of one scorer: its sandbox, its draws, the trees and spaces it was told."""

    def __init__(
        self,
        task: Task,
        box: Sandbox,
        store: DrawStore,
        traps: Traps | None = None,
        pass_on: Callable[[Question], Reply] | None = None,
    ) -> None:
        """pass_on: to whoever holds the model that candidates may ask."""
        self.task, self.box, self.store, self.traps, self.pass_on = task, box, store, traps, pass_on
        self.trees: dict[str, Tree] = {}
        self.spaces: dict[str, Space] = {}
        self._imports: dict[str, str] = {}  # tree -> what it imports and may not
        self._known: dict[tuple[str, str], list[Incident]] = {}  # (tree, space) -> what stands in them

    def load(self, message: Load) -> None:
        if message.tree is not None:
            self.trees[message.tree.digest] = message.tree
        if message.space is not None:
            self.spaces[message.space.digest] = message.space

    def score(self, work: Work) -> Done:
        self._check(work)
        block, start = work.block, time.monotonic()
        held = [self.store.get(work.split, work.slice, i) for i in block.draws]
        scores = np.full((len(block.rows), len(held)), np.nan)
        hits, coins = np.zeros(len(block.rows), np.int64), 0
        tallies: list[np.ndarray] = []

        def on_case(i: int, outputs: Outputs, alive: np.ndarray) -> None:
            nonlocal hits, coins
            scores[alive, i] = self._checked(outputs, held[i])[alive]
            if held[i].coins is not None:
                more, n = self.task.agreement(outputs, held[i].draw, held[i].coins)
                hits, coins = hits + more * alive, coins + n
            if counting(self.task):
                tallies.append(self.task.tally(outputs, held[i].draw) * alive[:, None])

        tree, space = self.trees[block.tree], self.spaces[block.space]
        if refused := self._refused(block.tree):
            return self._answer(work, held, invalid(scores, refused if work.detail else ""))
        decoys = self.traps.plan if self.traps is not None else None
        use = self.task.spec.model
        asking = Asking(use, self.pass_on) if use is not None and self.pass_on is not None else None
        job = Job(tree.files, space, block.rows, self.task.spec.entries, work.detail, decoys, asking)
        before = time.process_time()
        done = self.box.run(job, [self._case(h, work.replicate, asking) for h in held], on_case)
        cpu = done.cpu_s + time.process_time() - before
        dead = np.array([o != "ok" for o in done.outcomes])
        scores[dead] = np.nan
        found = {i: [incident] for i, incident in used(hits, coins).items()}
        if tallies and counting(self.task):
            for i, total in enumerate(np.sum(tallies, axis=0)):
                found.setdefault(i, []).extend(self.task.accuse(total, len(held)))
        incidents = self._incidents(done, block, found)
        result = BlockResult(scores, list(done.outcomes), done.messages, cpu, time.monotonic() - start, incidents)
        return self._answer(work, held, result)

    @staticmethod
    def _answer(work: Work, held: list[Held], result: BlockResult) -> Done:
        return Done(
            work.id,
            result,
            np.array([h.draw.floor for h in held], dtype=np.float64),
            np.array([h.draw.ceiling for h in held], dtype=np.float64),
            np.array([h.draw.group for h in held], dtype=np.int64),
        )

    def _check(self, work: Work) -> None:
        """Raises UsageError for work that names what this scorer was not told, or rows that are no points."""
        block, space = work.block, self.spaces.get(work.block.space)
        if block.tree not in self.trees or space is None or not self.store.knows(work.split):
            raise UsageError(f"a scorer was given work on a tree, space or split ({work.split}) that it was not told")
        points = (*block.rows.shape[:1], len(space.dims))
        if block.rows.shape != points or not points[0] or (block.rows > space.sizes).any():
            raise UsageError(f"a scorer was given rows of shape {block.rows.shape} that are no points of their space")
        if not block.draws or not all(0 <= i < 2**31 for i in block.draws):
            raise UsageError(f"a scorer was given work on no draw, or on one that does not exist: {block.draws[:4]}")

    def _incidents(self, done: JobResult, block: Block, shown: dict[int, list[Incident]]) -> dict[int, list[Incident]]:
        """What the sandbox saw, what decoys and tallies show."""
        found = {variant: list(seen) for variant, seen in done.incidents.items()}
        for variant, incidents in shown.items():
            if incidents:
                found.setdefault(variant, []).extend(incidents)
        if self.traps is not None:
            if smuggled := self._smuggled(block.tree, block.space):
                for variant in range(len(block.rows)):
                    found.setdefault(variant, []).extend(smuggled)
            for variant, message in done.messages.items():
                if said := self.traps.shown(message):
                    found.setdefault(variant, []).extend(said)
        return found

    def _smuggled(self, tree: str, space: str) -> list[Incident]:
        if (tree, space) not in self._known:
            assert self.traps is not None
            self._known[tree, space] = self.traps.smuggled(self.trees[tree], self.spaces[space])
        return self._known[tree, space]

    def _refused(self, tree: str) -> str:
        if tree not in self._imports:
            self._imports[tree] = denied(self.trees[tree], self.task.spec.denied_imports)
        return self._imports[tree]

    def _case(self, held: Held, replicate: int, asking: Asking | None) -> Case:
        def dialogue(entries: frozenset[str]) -> Dialogue:
            if asking is not None:
                asking.begin()
            return self.task.dialogue(held.draw, entries)

        return Case(held.public, held.rng_seed + replicate, dialogue)

    def _checked(self, outputs: Outputs, held: Held) -> Floats:
        """A task's score function must give finite numbers from valid outputs; anything else is the task's bug."""
        scores = np.asarray(self.task.score(outputs, held.draw), dtype=np.float64)
        if not np.isfinite(scores).all():
            raise TopropeError(f"task {self.task.spec.id}: score() gave a non-finite number from valid outputs")
        return scores


def serve(channel: wire.Channel[ScorerConfig | ToScorer]) -> None:
    config = channel.recv()
    if not isinstance(config, ScorerConfig):
        raise UsageError(f"a scorer was told {type(config).__name__} before its configuration")
    task = registry.load(config.task)
    with Sandbox(task.spec.limits, profile=task.spec.profile, tier=config.tier) as box:
        for split in config.secrets:
            task.prepare(split, lambda what, done: channel.send(Progress(what, done)))
        traps = Traps(config.traps) if config.traps is not None else None

        def pass_on(question: Question) -> Reply:
            channel.send(question)
            reply = channel.recv()
            if not isinstance(reply, Reply):
                raise WorkerDied(f"a scorer that had asked a model was told {type(reply).__name__}")
            return reply

        scorer = Scorer(task, box, DrawStore(task, config.secrets, traps), traps, pass_on)
        channel.send(Ready(box.protection, mark.of_draws(task, config.secrets) if config.marked else {}))
        while True:
            message = channel.recv()
            if isinstance(message, Load):
                scorer.load(message)
            elif isinstance(message, Work):
                channel.send(scorer.score(message))


def main() -> None:
    harden_worker()
    channel: wire.Channel[ScorerConfig | ToScorer]
    channel = wire.Channel(
        socket.socket(fileno=int(sys.argv[1])), ScorerConfig | ToScorer, "the process that started it"
    )
    try:
        serve(channel)
    except WorkerDied:
        return  # the other end is gone: nothing left to do
    except TopropeError as e:
        with contextlib.suppress(WorkerDied):
            channel.send(Failed(str(e), e.exit_code))


if __name__ == "__main__":
    main()
