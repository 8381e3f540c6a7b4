"""A scorer: one process, one core. It makes draws, talks to candidates in its sandbox, and returns columns of scores.

It is started by exec with a socket, never by fork, so it shares no memory with the climber. Gold exists in this process
only; candidate code runs in the zygote's children only and returns bytes, which are checked. The zygote starts before
any gold exists.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from toprope import wire
from toprope.errors import TopropeError, UsageError, WorkerDied
from toprope.executors.messages import Done, Failed, Load, Progress, Ready, ScorerConfig, ToScorer, Work
from toprope.models.limits import QuestionLimiter
from toprope.models.messages import Question, Reply
from toprope.protocols import Dialogue, Outputs, Task, counting
from toprope.referee.bounds import check_space, check_tree
from toprope.referee.draws import DrawStore, Held
from toprope.referee.honeypots import Honeypots, used
from toprope.referee.imports import denied, invalid
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.kernel import harden_worker
from toprope.space import Space
from toprope.tasks import guarded, mark, registry
from toprope.tasks.guarded import TaskFailed, calling, speaking
from toprope.types import Block, BlockResult, Incident, Outcome, Tree


class Scorer:
    """The state of one scorer: its sandbox, its draws, the trees and spaces that it received."""

    def __init__(
        self,
        task: Task,
        box: Sandbox,
        store: DrawStore,
        honeypots: Honeypots | None = None,
        pass_on: Callable[[Question], Reply] | None = None,
    ) -> None:
        """pass_on: sends a candidate's question to the process that holds the model, and returns the reply."""
        self.task, self.box, self.store, self.honeypots, self.pass_on = task, box, store, honeypots, pass_on
        self.trees: dict[str, Tree] = {}
        self.spaces: dict[str, Space] = {}
        self._imports: dict[str, str] = {}  # tree -> message about a denied import, or ""
        self._known: dict[tuple[str, str], list[Incident]] = {}  # (tree, space) -> incidents in them

    def load(self, message: Load) -> None:
        """Keeps a tree or space. Raises UsageError if it is larger than the task allows."""
        if message.tree is not None:
            check_tree(message.tree, self.task.spec)
            self.trees[message.tree.digest] = message.tree
        if message.space is not None:
            check_space(message.space, self.task.spec)
            self.spaces[message.space.digest] = message.space

    def score(self, work: Work) -> Done:
        """Scores a block. If the task's own code fails on the answers, the variants are scored one by one, so that the
        others keep their scores."""
        self._check(work)
        try:
            return self._score(work)
        except TaskFailed as e:
            rows = work.block.rows
            if len(rows) > 1:
                alone = [msgspec.structs.replace(work.block, rows=rows[i : i + 1]) for i in range(len(rows))]
                return joined([self.score(msgspec.structs.replace(work, block=block)) for block in alone])
            held = self._held(work)
            return self._answer(work, held, invalid(np.full((1, len(held)), np.nan), str(e) if work.detail else ""))

    def _held(self, work: Work) -> list[Held]:
        return [self.store.get(work.split, work.slice, i) for i in work.block.draws]

    def _score(self, work: Work) -> Done:
        block, start = work.block, time.monotonic()
        held = self._held(work)
        scores = np.full((len(block.rows), len(held)), np.nan)
        hits, coins = np.zeros(len(block.rows), np.int64), 0
        tallies: list[np.ndarray] = []
        faults: dict[int, str] = {}  # variant -> what is wrong with its score

        def on_case(i: int, outputs: Outputs, alive: np.ndarray) -> None:
            nonlocal hits, coins
            task, draw = self.task, held[i].draw
            found, why = guarded.scores(task, outputs, draw, len(block.rows))
            scores[alive, i] = found[alive]
            faults.update({v: text for v, text in why.items() if alive[v]})
            if held[i].coins is not None:
                more, n = calling(task, "agreement", lambda: task.agreement(outputs, draw, held[i].coins))
                hits, coins = hits + more * alive, coins + n
            if counting(task):
                tallies.append(calling(task, "tally", lambda: task.tally(outputs, draw)) * alive[:, None])

        tree, space = self.trees[block.tree], self.spaces[block.space]
        if refused := self._refused(block.tree):
            return self._answer(work, held, invalid(scores, refused if work.detail else ""))
        decoys = self.honeypots.plan if self.honeypots is not None else None
        use = self.task.spec.model
        asking = QuestionLimiter(use, self.pass_on) if use is not None and self.pass_on is not None else None
        job = Job(tree.files, space, block.rows, self.task.spec.entries, work.detail, decoys, asking)
        before = time.process_time()
        with self.box.within(work.limit_s):
            done = self.box.run(job, [self._case(h, work.replicate, asking) for h in held], on_case)
        cpu = done.cpu_s + time.process_time() - before
        for variant, text in faults.items():
            if done.outcomes[variant] is not Outcome.OK:
                continue  # its later end says more than a faulty score
            done.outcomes[variant] = Outcome.INVALID
            if work.detail:
                done.messages[variant] = text
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
        """Raises UsageError for work on a tree, space or split that this scorer does not have, and for rows outside
        their space."""
        block, space = work.block, self.spaces.get(work.block.space)
        if block.tree not in self.trees or space is None or not self.store.knows(work.split):
            raise UsageError(f"a scorer got work on a tree, space or split ({work.split}) that it does not have")
        points = (*block.rows.shape[:1], len(space.dims))
        if block.rows.shape != points or not points[0] or (block.rows > space.sizes).any():
            raise UsageError(f"a scorer got rows of shape {block.rows.shape} outside their space; expected {points}")
        if not block.draws or not all(0 <= i < 2**31 for i in block.draws):
            raise UsageError(f"a scorer got work without draws, or on a draw that does not exist: {block.draws[:4]}")

    def _incidents(self, done: JobResult, block: Block, shown: dict[int, list[Incident]]) -> dict[int, list[Incident]]:
        """By variant: incidents of the sandbox, and those that decoys and tallies show."""
        found = {variant: list(seen) for variant, seen in done.incidents.items()}
        for variant, incidents in shown.items():
            if incidents:
                found.setdefault(variant, []).extend(incidents)
        if self.honeypots is not None:
            if smuggled := self._smuggled(block.tree, block.space):
                for variant in range(len(block.rows)):
                    found.setdefault(variant, []).extend(smuggled)
            for variant, message in done.messages.items():
                if said := self.honeypots.shown(message):
                    found.setdefault(variant, []).extend(said)
        return found

    def _smuggled(self, tree: str, space: str) -> list[Incident]:
        if (tree, space) not in self._known:
            assert self.honeypots is not None
            self._known[tree, space] = self.honeypots.smuggled(self.trees[tree], self.spaces[space])
        return self._known[tree, space]

    def _refused(self, tree: str) -> str:
        if tree not in self._imports:
            self._imports[tree] = denied(self.trees[tree], self.task.spec.denied_imports)
        return self._imports[tree]

    def _case(self, held: Held, replicate: int, asking: QuestionLimiter | None) -> Case:
        def dialogue(entries: frozenset[str]) -> Dialogue:
            if asking is not None:
                asking.begin()
            return speaking(self.task, self.task.dialogue(held.draw, entries))

        return Case(held.public, held.rng_seed + replicate, dialogue)


def joined(parts: list[Done]) -> Done:
    """One result from the results of single variants on the same draws."""
    results = [done.result for done in parts]
    whole = BlockResult(
        np.concatenate([r.scores for r in results]),
        [r.outcomes[0] for r in results],
        {i: r.messages[0] for i, r in enumerate(results) if 0 in r.messages},
        sum(r.cpu_s for r in results),
        sum(r.wall_s for r in results),
        {i: r.incidents[0] for i, r in enumerate(results) if 0 in r.incidents},
    )
    return msgspec.structs.replace(parts[0], result=whole)


def serve(channel: wire.Channel[ScorerConfig | ToScorer]) -> None:
    config = channel.recv()
    if not isinstance(config, ScorerConfig):
        raise UsageError(f"a scorer received {type(config).__name__}, expected its configuration first")
    task = registry.load(config.task, Path(config.vault) if config.vault else None)
    hidden = any(split != "dev" for split in config.secrets)
    with Sandbox(task.spec.limits, profile=task.spec.profile, tier=config.tier, private=hidden) as box:
        for split in config.secrets:
            task.prepare(split, lambda what, done: channel.send(Progress(what, done)))
        honeypots = Honeypots(config.honeypots) if config.honeypots is not None else None

        def pass_on(question: Question) -> Reply:
            channel.send(question)
            reply = channel.recv()
            if not isinstance(reply, Reply):
                raise WorkerDied(f"a scorer that asked a model received {type(reply).__name__}, expected a reply")
            return reply

        scorer = Scorer(task, box, DrawStore(task, config.secrets, honeypots), honeypots, pass_on)
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
        return  # the other end is gone
    except TopropeError as e:
        with contextlib.suppress(WorkerDied):
            channel.send(Failed(str(e).encode("utf-8", "replace").decode(), e.exit_code))
    finally:
        channel.close()


if __name__ == "__main__":
    main()
