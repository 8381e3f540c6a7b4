"""The hub: one exec'ed process per run that holds hidden seeds, gate and sealed state, and starts hidden scorers.

The run process gets one bit per attempt, a measurement per promotion, and the test once. The hub keeps its state in the
vault, so a killed hub is restarted and continues where it stopped; a repeated question gets the same answer and is
counted once.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from toprope import wire
from toprope.errors import TopropeError, UsageError, WorkerDied
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Failed, Progress, ScorerConfig
from toprope.models.broker import broker_for, discard, report_to_operator
from toprope.protocols import Task
from toprope.referee.bounds import check_candidate
from toprope.referee.gate import Gate, GateVerdict
from toprope.referee.messages import Acknowledge, Attempt, Commit, HubConfig, HubReady, Noted, ToHub, Unseal
from toprope.referee.recorded import Answer, Opened
from toprope.referee.schedule import Schedule
from toprope.referee.sealed_test import run_test
from toprope.referee.vault import SECRET, SealedRun, Vault
from toprope.sandbox.kernel import harden_worker
from toprope.seeding import beacon_secret, commitment
from toprope.stats.betting import minimum_detectable
from toprope.stats.leak import RELEASE_SLOTS, promotions_left
from toprope.stats.spending import attempt_level
from toprope.tasks import mark, registry
from toprope.types import Candidate, Split
from toprope.unix import resource


class Hub:
    """Answers attempts and opens the test for one run."""

    def __init__(self, task: Task, vault: Vault, run: SealedRun, pool: LocalExecutor, on_schedule: bool = True) -> None:
        """on_schedule: False only in tests that show what timing reveals without the schedule."""
        self._task, self._vault, self._run, self._pool = task, vault, run, pool
        self._on_schedule = on_schedule
        self._gate = Gate(task.spec, pool, run.number)

    def attempt(self, candidate: Candidate, base_delay_exponent: int = 0, release_slots: int = RELEASE_SLOTS) -> Answer:
        """Answers an attempt, which counts before it is evaluated. The answer leaves at a release slot in any case; an
        error is a NOT YET that counts.

        Raises UsageError, and counts nothing, for a candidate that is larger than the task allows, and for a run whose
        test is open."""
        check_candidate(candidate, self._task.spec)
        schedule = Schedule(self._task.spec.splits.tick_s * 2**base_delay_exponent, self._on_schedule, release_slots)
        if self._run.unsealed:
            raise UsageError(f"run {self._run.run} has opened its test; a climb ends there, start a new run")
        answer = self._answer(candidate, schedule, base_delay_exponent)
        schedule.wait(answer.release_slot)
        return answer

    def _answer(self, candidate: Candidate, schedule: Schedule, base_delay_exponent: int) -> Answer:
        name, run = candidate.id, self._run.run
        past = self._vault.past_answer(run, name)
        if past is not None:
            return past
        champions = self._vault.champions(run)
        slice_ = len(champions) + 1
        number, release_slot = self._vault.begin_attempt(run, slice_, name)
        if release_slot is not None:
            return Answer(name, False, number, slice_, None, release_slot)
        champion = champions[-1][0] if champions else Candidate(self._task.starter(), self._starting_params())
        patience = self._gate.patience(self._vault.base_delay_exponent(run, slice_ - 1))
        timing_bits = self._vault.disclosed_timing_bits(run, slice_, number)
        verdict, measured, error = GateVerdict(False, 0.0, self._gate.level(slice_, number, timing_bits), 0), None, ""
        try:
            if _promotions_left(self._task, self._vault, self._run) == 0:
                raise UsageError("the hidden data carry no further promotion")
            verdict = self._gate.judge(candidate, champion, slice_, number, timing_bits, schedule.end, patience)
            measured = self._gate.measure(candidate, slice_, schedule.end) if verdict.promoted else None
        except TopropeError as e:  # it killed one scorer after another, it is too late, or the task has a bug
            error = f"{type(e).__name__}: {e}"
        self._vault.saw(run, name, self._gate.incidents(candidate))
        if champions:
            self._vault.saw(run, champion.id, self._gate.incidents(champion))
        release_slot = schedule.release_slot()
        if measured is None:
            self._vault.refuse(run, slice_, number, verdict._replace(promoted=False), release_slot, error)
        else:
            self._vault.promote(run, slice_, number, candidate, measured, verdict, release_slot, base_delay_exponent)
        return Answer(name, measured is not None, number, slice_, measured, release_slot)

    def open_test(self, request: Unseal, progress: wire.Channel[HubConfig | ToHub]) -> Opened:
        """Counts the opening, scores champion and baselines, and reveals all that was hidden."""
        run = self._run
        check_candidate(request.candidate, self._task.spec)
        opening = self._vault.open_test(run, request.candidate.id, request.head, request.beacon)
        self._run = run._replace(unsealed=True)

        def show(done: float) -> None:
            progress.send(Progress("opening the sealed test", done))

        with self._examiners(request.beacon) as pool:
            n = self._task.spec.splits.test
            baselines = {name: Candidate(b.tree, b.params) for name, b in self._task.baselines().items()}
            r = run_test(n, pool, request.candidate, baselines, opening, show)
        judged, seen, replies = self._vault.judged(run.run), self._vault.seen(run.run), self._vault.replies(run.run)
        return Opened(
            r.champion,
            r.baselines,
            r.gains,
            opening,
            r.draws,
            run.secret,
            _cpu_seconds(),
            r.per_draw,
            judged,
            request.beacon,
            seen,
            replies,
        )

    @contextlib.contextmanager
    def _examiners(self, beacon: str | None) -> Iterator[LocalExecutor]:
        """The scorers for the test. With a beacon they are started only now, because its value decides the draws."""
        if beacon is None or self._run.beacon_round is None:
            yield self._pool
            return
        secret = beacon_secret(self._run.secret, self._run.beacon_round, beacon)
        config = msgspec.structs.replace(self._pool.config, secrets={"test": secret})
        pool = LocalExecutor(config, self._pool.slots, broker=self._pool.broker)
        try:
            yield pool
        finally:
            pool.close()

    def _starting_params(self) -> dict[str, object]:
        space = self._task.space
        return dict(space.decode(space.default())) if space is not None else {}


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def serve(channel: wire.Channel[HubConfig | ToHub]) -> None:
    config = channel.recv()
    if not isinstance(config, HubConfig):
        raise UsageError(f"a hub received {type(config).__name__}, expected its configuration first")
    task = registry.load(config.task, Path(config.vault))
    vault = Vault(Path(config.vault))
    begun = vault.marked(config.run)  # of a known run: its task is checked before a session is counted
    run, session_number = (
        (vault.open_run(config.run, config.task, config.rehearsal), 0) if begun else _begin_session(vault, config)
    )
    hidden: dict[Split, bytes] = dict.fromkeys(("val", "measure", "test"), run.secret)
    scorers = ScorerConfig(config.task, hidden, config.tier, secrets.token_bytes(16), True, config.vault)
    broker = broker_for(
        task,
        config.model,
        config.tokens,
        vault.replies(run.run),
        lambda reply: vault.heard(run.run, reply),
        lambda key, most: (
            config.total_token_cap is None or vault.reserve_tokens(run.run, key, most, config.total_token_cap)
        ),
        report_to_operator if config.total_token_cap is not None else discard,
    )
    pool = LocalExecutor(scorers, config.workers, lambda what, done: channel.send(Progress(what, done)), broker=broker)
    try:
        now = mark.of_task(task) | pool.mark | ({SECRET: task.secret.name} if task.secret is not None else {})
        if why := mark.changed(begun, now, config.task):
            raise UsageError(why)
        if begun:
            run, session_number = _begin_session(vault, config)
        vault.mark(run.run, now)
        hub = Hub(task, vault, run, pool)
        channel.send(_ready(task, vault, run, pool, session_number))
        heard = channel.recv()
        if heard != Acknowledge(session_number):
            raise UsageError(f"the client did not acknowledge session {session_number}; refusing to work")
        vault.acknowledge(run.run, session_number)
        while True:
            message = channel.recv()
            if isinstance(message, Attempt):
                channel.send(hub.attempt(message.candidate, message.base_delay_exponent, message.release_slots))
                pool.refresh()
            elif isinstance(message, Commit):
                vault.commit(run.run, message.candidate, message.head)
                channel.send(Noted())
            elif isinstance(message, Unseal):
                channel.send(hub.open_test(message, channel))
    finally:
        pool.close()


def _begin_session(vault: Vault, config: HubConfig) -> tuple[SealedRun, int]:
    return vault.begin_session(config.run, config.task, config.rehearsal, config.session_number, config.beacon_round)


def _ready(task: Task, vault: Vault, run: SealedRun, pool: LocalExecutor, session_number: int) -> HubReady:
    certifying = not run.rehearsal and pool.protection.get("tier") != "none"
    alpha = float(np.exp(-attempt_level(run.number, 1, 1000)))
    metric = task.spec.metric
    gain = minimum_detectable(task.spec.splits.val_slice, metric.spread, metric.clip, alpha)
    if gain == float("inf"):
        n = task.spec.splits.val_slice
        raise UsageError(
            f"task {task.spec.id}: a slice of {n} draws cannot show any gain at the 1,000th attempt; raise "
            "splits.val_slice in its task.toml"
        )
    protection, code = pool.protection, mark.of_task(task)[mark.CODE]
    started = commitment(run.secret), certifying, run.number, vault.since, task.secret, protection, gain, session_number
    left = _promotions_left(task, vault, run)
    if left == 0 and session_number == 1 and task.secret is not None:
        bits = vault.disclosed_bits(task.spec.id, task.secret.name)
        raise UsageError(
            f"{task.secret.kind} of {task.spec.id}: its {task.secret.items} items carry no further promotion, because "
            f"runs of this vault disclosed {bits:.0f} bits about them; make a fresh one ({task.secret.remedy})"
        )
    return HubReady(*started, code=code, promotions_left=left)


def _promotions_left(task: Task, vault: Vault, run: SealedRun) -> int | None:
    """Of the task's hidden data in this vault; None if they are generated, public, or the run certifies nothing."""
    secret = task.secret
    if secret is None or secret.public or not secret.items or run.rehearsal:
        return None
    bits = vault.disclosed_bits(task.spec.id, secret.name)
    return promotions_left(bits, secret.items, task.spec.metric.clip / 2)


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
            channel.send(Failed(str(e).encode("utf-8", "replace").decode(), e.exit_code))
    except sqlite3.Error as e:
        with contextlib.suppress(WorkerDied):
            channel.send(Failed(f"the vault cannot be read: {e}; restore sealed.db from a copy, then resume the run"))
    finally:
        channel.close()


if __name__ == "__main__":
    main()
