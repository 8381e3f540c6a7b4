"""The hub: one exec'ed process per run that holds what is hidden. Seeds, gate, sealed state and the scorers beside it.

The run process gets one bit per attempt, a measurement per promotion, and the test once. The hub's own memory of the
run is the vault, so a hub that was killed is started again and goes on where it stopped; the same question has the
same answer and is counted once.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import socket
import sqlite3
import sys
from pathlib import Path

import numpy as np

from toprope import wire
from toprope.errors import TopropeError, UsageError, WorkerDied
from toprope.protocols import Task
from toprope.referee.gate import Gate
from toprope.referee.messages import (
    Answer,
    Attempt,
    Failed,
    HubConfig,
    HubReady,
    Opened,
    Progress,
    ScorerConfig,
    ToHub,
    Unseal,
)
from toprope.referee.panel import Panel, by_kind
from toprope.referee.pool import ScorerPool
from toprope.referee.sealed import SealedRun, Vault
from toprope.sandbox.kernel import harden_worker
from toprope.seeding import commitment
from toprope.stats.betting import minimum_detectable
from toprope.stats.intervals import difference, ratio
from toprope.stats.spending import attempt_level
from toprope.tasks import registry
from toprope.types import Candidate


class Hub:
    """Answers attempts and opens the test for one run."""

    def __init__(self, task: Task, vault: Vault, run: SealedRun, pool: ScorerPool) -> None:
        self._task, self._vault, self._run, self._pool = task, vault, run, pool
        self._gate = Gate(task.spec, pool, run.number)

    def attempt(self, candidate: Candidate) -> Answer:
        """Counted before it is evaluated; an error on the way is a NOT YET that stays counted."""
        name, run = candidate.id, self._run.run
        if self._run.unsealed:
            raise UsageError(f"run {run} has opened its test; a climb ends there, start a new run")
        past = self._vault.past_answer(run, name)
        if past is not None:
            return past
        champions = self._vault.champions(run)
        slice_ = len(champions) + 1
        number, answered = self._vault.begin_attempt(run, slice_, name)
        if answered is not None:
            return Answer(name, answered, number, slice_)
        champion = champions[-1][0] if champions else Candidate(self._task.starter(), self._starting_params())
        try:
            passed = self._gate.passes(candidate, champion, slice_, number)
        except WorkerDied:  # its draws ended one scorer after the other
            passed = False
        self._vault.saw(run, name, self._gate.incidents(candidate))
        if not passed:
            self._vault.refuse(run, slice_, number)
            return Answer(name, False, number, slice_)
        measured = self._gate.measure(candidate, slice_)
        self._vault.promote(run, slice_, number, candidate, measured)
        return Answer(name, True, number, slice_, measured)

    def open_test(self, request: Unseal, progress: wire.Channel[HubConfig | ToHub]) -> Opened:
        """Champion and baselines on the same sealed draws; intervals resample kinds, then draws, at level 1 - .05/m."""
        opening = self._vault.open_test(self._run, request.candidate.id)
        names = list(request.baselines)
        panel = Panel(self._pool, "test", 0)
        n, groups = self._task.spec.splits.test, by_kind(list(request.baselines.values()))
        columns = panel.grouped(
            [[request.candidate], *groups], n, lambda done: progress.send(Progress("opening the sealed test", done))
        )
        by_id = dict(zip([c.id for group in groups for c in group], columns[1:], strict=True))
        columns = [columns[0], *(by_id[request.baselines[name].id] for name in names)]
        top, level = columns[0], 1 - 0.05 / opening
        cells = top.groups if len(np.unique(top.groups)) > 1 else None
        values = {
            n: ratio(c.counted, c.floors, c.ceilings, level, cells=cells)
            for n, c in zip(names, columns[1:], strict=True)
        }
        gains = {
            n: difference(top.counted, c.counted, c.floors, c.ceilings, level, cells=cells)
            for n, c in zip(names, columns[1:], strict=True)
        }
        champion = ratio(top.counted, top.floors, top.ceilings, level, cells=cells)
        self._run = self._run._replace(unsealed=True)
        cpu, seen = _cpu_seconds(), self._vault.seen(self._run.run)
        return Opened(champion, values, gains, opening, len(top.scores), self._run.secret, cpu, seen)

    def _starting_params(self) -> dict[str, object]:
        space = self._task.space
        return dict(space.decode(space.default())) if space is not None else {}


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def serve(channel: wire.Channel[HubConfig | ToHub]) -> None:
    config = channel.recv()
    assert isinstance(config, HubConfig)
    os.environ["TOPROPE_VAULT"] = config.vault  # where tasks and hidden scorers find what is private to it
    task = registry.load(config.task)
    vault = Vault(Path(config.vault))
    run = vault.open_run(config.run, config.task, config.rehearsal)
    scorers = ScorerConfig(
        config.task,
        dict.fromkeys(("val", "measure", "test"), run.secret),
        config.tier,
        secrets.token_bytes(16),
    )
    pool = ScorerPool(scorers, config.workers, lambda what, done: channel.send(Progress(what, done)))
    try:
        hub = Hub(task, vault, run, pool)
        channel.send(_ready(task, vault, run, pool))
        while True:
            message = channel.recv()
            if isinstance(message, Attempt):
                channel.send(hub.attempt(message.candidate))
            elif isinstance(message, Unseal):
                channel.send(hub.open_test(message, channel))
    finally:
        pool.close()


def _ready(task: Task, vault: Vault, run: SealedRun, pool: ScorerPool) -> HubReady:
    certifying = not run.rehearsal and pool.protection.get("tier") != "none"
    alpha = float(np.exp(-attempt_level(run.number, 1, 1000)))
    metric = task.spec.metric
    gain = minimum_detectable(task.spec.splits.val_slice, metric.spread, metric.clip, alpha)
    hidden = getattr(task, "hidden_weights", "")
    return HubReady(commitment(run.secret), certifying, run.number, vault.since, hidden, pool.protection, gain)


def main() -> None:
    harden_worker()
    channel: wire.Channel[HubConfig | ToHub]
    channel = wire.Channel(socket.socket(fileno=int(sys.argv[1])), HubConfig | ToHub, "the run process")
    try:
        serve(channel)
    except WorkerDied:
        return
    except TopropeError as e:
        with contextlib.suppress(WorkerDied):
            channel.send(Failed(str(e), e.exit_code))
    except sqlite3.Error as e:
        with contextlib.suppress(WorkerDied):
            channel.send(Failed(f"the vault cannot be read: {e}; restore sealed.db from a copy, then resume the run"))


if __name__ == "__main__":
    main()
