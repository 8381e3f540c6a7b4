"""A run from the outside: open or resume its directory, start its processes, climb, open the test, close everything.

The run process holds climber, loop, ledger and screen. It never sees a candidate's outputs or a private part.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from toprope import paths, seeding
from toprope.errors import ModelSpent, RunError, UsageError
from toprope.executors.base import Executor, MakeExecutor
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.journal.history import RunHistory, champion
from toprope.journal.ledger import SqliteLedger
from toprope.journal.reading import of_ledger
from toprope.journal.records import Committed, Opening, SessionRecord, record
from toprope.journal.spec import CandidateModel, RunSpec, named_again
from toprope.journal.tally import Tally
from toprope.models.broker import Broker, broker_for
from toprope.protocols import Observer, Task, counting
from toprope.referee.client import Connect, HubClient, own_hub
from toprope.referee.messages import HubConfig, Unseal
from toprope.referee.recorded import Opened
from toprope.run.accounts import Quota
from toprope.run.attempts import Attempts
from toprope.run.beginning import anchors_of, climber_for, new_ledger, space_of
from toprope.run.evaluate import Evaluator
from toprope.run.finals import Finals
from toprope.run.keeping import Keeping
from toprope.run.loop import Budget, climb
from toprope.run.policy import ALIKE, AttemptPolicy
from toprope.run.race import BLOCKS, Race
from toprope.run.rerun import Isolated
from toprope.run.same_task import scored_otherwise
from toprope.run.seen import REMEMBERED
from toprope.run.stopping import Stop
from toprope.run.submissions import Submissions
from toprope.sandbox.selftest import Choice
from toprope.space import Space
from toprope.tasks import mark, places, registry
from toprope.types import Anchors, Candidate
from toprope.version import __version__

Tier = Callable[[str | None], Choice]
"""Proves a tier: the one a run was begun under, or for None whatever the user wishes."""


class Screen(Observer, Protocol):
    """An observer that also shows what is not in any record: messages, progress in [0, 1], and how many seconds the
    climb waits (None: no longer)."""

    def say(self, line: str) -> None: ...
    def progress(self, what: str, done: float) -> None: ...
    def wait(self, seconds: float | None) -> None: ...


class Session:
    """One session of one run: its ledger, hub and dev scorers. A context manager."""

    def __init__(
        self,
        directory: Path,
        spec: RunSpec | None,
        tier: Tier,
        workers: int,
        screen: Screen,
        connect: Connect = own_hub,
        tokens: int | None = None,
        make_executor: MakeExecutor = LocalExecutor,
        climber: str | None = None,
        vault: Path | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """spec: of a new run, which is named here; None resumes the run in `directory`. tier: called when a tier is
        needed. connect: to our own hub or to a service. tokens: a new cap on the tokens that candidates use.
        make_executor: makes the dev scorers. climber: of a resumed run, named again by the user; required for a climber
        of their own (`spec.Imported`). vault: where the hub keeps its state and the task finds its secret; None: this
        user's. observers: hear every record, as the screen does. Raises UsageError or RunError if the run cannot begin
        or continue."""
        self._make_executor = make_executor
        self._vault = vault.resolve() if vault is not None else None
        self.directory, self.screen, self._workers, self._connect = directory, screen, workers, connect
        self._tokens, self._named = tokens, climber if spec is None else spec.climber.label
        if spec is not None:
            spec = msgspec.structs.replace(spec, run=secrets.token_hex(8))
            task = registry.load(spec.task, self._vault)
            if spec.plan is None:
                climber_for(spec.climber, task, spec.seed)  # before the directory is created
            tier(None)
        self.ledger = new_ledger(directory, spec) if spec is not None else SqliteLedger(directory / "ledger.db")
        self.ledger.observers += [screen, *observers]
        self._hub: HubClient | None = None
        self._executor: Executor | None = None
        self._broker: Broker | None = None
        try:
            self.spec = self._spec()
            if spec is not None:  # it was recorded before anybody could listen
                self.ledger.tell(self.spec)
            self.task: Task = registry.load(self.spec.task, self._vault)
            if (folder := registry.own().get(self.spec.task.removesuffix(registry.NULL))) is not None:
                places.remember(self.vault, self.spec.run, self.spec.task.removesuffix(registry.NULL), folder)
            history = self._past = self._history()
            past = history.opening if history is not None else None
            self._earlier = self.ledger.length if history is not None else 0  # entries of earlier sessions
            if past is not None and self.tested is None and past.tier != tier(past.tier).tier:
                how = "with" if past.tier == "none" else "without"
                raise RunError(
                    f"run {directory} was begun under protection {past.tier!r} and cannot change it; "
                    f"continue it {how} --i-trust-the-candidates"
                )
            if past is None or self.tested is None:  # after the test is open, no work is left
                choice = tier(None) if past is None else Choice(past.tier)
                self._start_workers(choice.tier, history)
            self.opening: Opening = past if past is not None else self._open(choice)
            if past is not None:
                self.ledger.tell(past)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------ starting

    def _spec(self) -> RunSpec:
        """The spec in the run's first entry."""
        first = next(self.ledger.read("ask"), None)
        if first is None:
            raise RunError(f"run {self.directory} ended before it began; start it again with `toprope climb`")
        spec: RunSpec = record(first)
        return spec

    def _history(self) -> RunHistory | None:
        """The history of a resumed run; None for a new one. Raises RunError for records that contradict each other."""
        self.ledger.tally = Tally()
        if next(self.ledger.read("open"), None) is None:
            return None
        history, _ = of_ledger(str(self.directory), self.ledger, self.ledger.blocks)
        self.ledger.tally = history.counted
        return history

    def _replay(self) -> None:
        """Passes what earlier sessions recorded after the opening to observers, before anything new; to one that can
        `catch_up` with a history, the history."""
        every, self.ledger.observers = self.ledger.observers, []
        for observer in every:
            if (catch_up := getattr(observer, "catch_up", None)) is None:
                self.ledger.observers.append(observer)
            elif self._past is not None:
                catch_up(self._past)
        for entry in self.ledger.between(0, self._earlier) if self.ledger.observers else ():
            if entry.kind != "open":
                self.ledger.tell(record(entry))
        self.ledger.observers = [o for o in every if hasattr(o, "catch_up") or o in self.ledger.observers]

    def _start_workers(self, tier: str, past: RunHistory | None) -> None:
        """For a resumed run, the check that its task is the same comes before the hub starts and counts a session."""
        spec = self.spec
        last = max((r.number for r in map(record, self.ledger.read("sitting"))), default=0)
        model = (spec.candidate_model or CandidateModel()).model
        tokens = self.tokens
        hub = HubConfig(
            spec.run,
            spec.task,
            tier,
            self._workers,
            str(self.vault),
            spec.rehearsal,
            last,
            spec.beacon_round,
            model,
            tokens,
        )
        if past is None:  # both start at the same time
            self._hub = HubClient(hub, self.screen.progress, self._begin, self._connect)
        honeypots = secrets.token_bytes(16)  # of this session, known to its scorers only
        named = str(self._vault) if self._vault is not None else ""  # a scorer on another machine has its own
        config = ScorerConfig(spec.task, {"dev": seeding.dev_secret(spec.seed)}, tier, honeypots, True, named)
        known = [record(e) for e in self.ledger.read("reply")]
        self._broker = broker_for(self.task, model, tokens, known, self.ledger.append)
        self._executor = self._make_executor(config, self._workers, self.screen.progress, self._broker)
        self.mark = mark.of_task(self.task) | self._executor.mark
        if past is not None:
            self._same_task(past, self._executor)
            self._hub = HubClient(hub, self.screen.progress, self._begin, self._connect)
        assert self._hub is not None
        self._hub.wait_ready()
        if self._hub.ready.code not in ("", self.mark[mark.CODE]):
            self.screen.say(
                f"the referee's copy of {spec.task} differs in code from the one here; the referee uses its own"
            )
        here, there = self.task.secret, self._hub.ready.secret
        if here is not None and here.shared and (there is None or there.name != here.name):
            raise RunError(
                f"practice draws here are made with the {here.label}, the referee's with "
                f"{f'the {there.label}' if there is not None else 'no secret'}; {spec.task} needs the same: copy the "
                f"referee's {here.kind} into vault {self.vault}, or climb without --referee"
            )

    def _same_task(self, history: RunHistory, executor: Executor) -> None:
        """Raises RunError if the task's draws, anchors or scores differ from those when the run began. Changed code
        that does the same is reported, and its digest is in the session's entry."""
        past = history.opening
        then = past.mark or {"starter": past.tree.digest, "search space": past.space.digest}
        if why := mark.changed(then, self.mark, past.spec.task) or scored_otherwise(
            history, executor, self.task.spec.metric
        ):
            raise RunError(f"run {self.directory}: {why}")
        if then.get(mark.CODE, "") not in ("", self.mark[mark.CODE]):
            self.screen.say("the task's code has changed since the run began, what it does has not; the run continues")

    @property
    def vault(self) -> Path:
        """Where the hub keeps its state, unless it is a service's."""
        return self._vault or paths.vault()

    @property
    def tokens(self) -> int | None:
        """The cap on the tokens that candidates use: this session's, or else the run's."""
        of_run = self.spec.candidate_model
        return self._tokens if self._tokens is not None or of_run is None else of_run.tokens

    def _begin(self, session_number: int) -> None:
        """Records the session's number before the hub does any work."""
        self.ledger.append(SessionRecord(session_number, __version__, mark.of_task(self.task)[mark.CODE]), safe=True)

    def _open(self, choice: Choice) -> Opening:
        assert self._hub is not None
        assert self._executor is not None
        space = (self.task.space or Space([])) if self.spec.plan is not None else space_of(self.task)
        tree, ready = self.task.starter(), self._hub.ready
        anchors = anchors_of(self.spec.task, self._executor, tree, space, self.task.spec.splits.rungs[-1])
        opening = Opening(
            spec=self.spec,
            toprope=__version__,
            tier=choice.tier,
            commitment=ready.commitment,
            certifying=ready.certifying,
            number=ready.number,
            vault_since=ready.vault_since,
            hidden=ready.secret.name if ready.secret is not None else "",
            secret=ready.secret,
            answer_kinds=self.task.spec.answer_kinds,
            promotions_left=ready.promotions_left,
            detectable=round(ready.detectable / float((anchors.ceilings - anchors.floors).mean()), 4),
            protection=self._executor.protection | ({"instead": choice.instead} if choice.instead else {}),
            floors=anchors.floors,
            ceilings=anchors.ceilings,
            tree=tree,
            space=space,
            started=round(time.time(), 3),
            confined=ready.confined,
            dev_partial_credit=self.task.spec.metric.dev_partial_credit,
            mark=self.mark,
            remembered=REMEMBERED,
        )
        self.ledger.append(opening)
        return opening

    # ------------------------------------------------------------ the two things a session does

    @property
    def tested(self) -> Opened | None:
        entry = next(self.ledger.read("test"), None)
        return record(entry) if entry is not None else None

    def climb(self) -> None:
        """Climbs until the budget is spent. Does nothing if the run has already committed to its champion."""
        if self._hub is None or next(self.ledger.read("commit"), None) is not None:
            return
        assert self._executor is not None
        self._replay()
        o, spec = self.opening, self.task.spec
        evaluator = Evaluator(self.ledger, self._executor, o.tree, o.space)
        # an older run goes on by the rules by which it began
        new, turning, alike = o.format > 3, o.format > 5, ALIKE if o.format > 6 else 1 / 3
        blocks, anchors = o.spec.blocks or BLOCKS, Anchors(o.floors, o.ceilings)
        race = Race(spec.splits.rungs, anchors, evaluator, o.remembered, blocks, new, turning)
        policy = AttemptPolicy(
            self._attempts(),
            race,
            evaluator,
            Finals(self.ledger, self._executor, o.tree, o.space, spec.splits.rungs[-1]) if new else None,
            (o.tree, o.space),
            spec.splits,
            alike * spec.metric.spread,
            self.screen.wait,
        )
        named_again(self.directory, o.spec.climber, self._named)
        climber, stop = climber_for(o.spec.climber, self.task, o.spec.seed), Stop(o.spec)
        parts = {"race": race, "policy": policy, "evaluator": evaluator, "stop": stop}
        keep = Keeping(self.ledger, climber, parts)
        if keep.start is not None:
            evaluator.skip(keep.start.entries)
        try:
            climb(
                climber,
                race,
                policy,
                Budget(o.spec, self.ledger, keep.start),
                self.ledger,
                o.spec.generation or spec.splits.generation,
                o.space,
                stop,
                keep,
            )
            if stop.why:
                self.screen.say(f"the climb is over: {stop.why}")
        except ModelSpent as e:  # a budget like any other: promotions stand
            self.screen.say(str(e))
            policy.hear()

    def submissions(self, quota: Quota) -> Submissions:
        """For authors, in place of `climb`: where they submit candidates. Raises RunError if the run is over."""
        if self._hub is None or next(self.ledger.read("commit"), None) is not None:
            raise RunError(
                f"run {self.directory} has committed to its champion and takes no candidates; begin a new run"
            )
        assert self._executor is not None
        self._replay()
        return Submissions(
            self.opening,
            self.task.spec,
            self.ledger,
            self._executor,
            self._attempts(),
            quota,
            counting(self.task),
            self.vault,
            self.directory,
        )

    def _attempts(self) -> Attempts:
        assert self._executor is not None
        assert self._hub is not None
        isolated = Isolated(self._executor, self._broker, counting(self.task))
        return Attempts(self.ledger, self._hub, isolated, self.task.spec.splits, self.task.spec.metric)

    def unseal(self, beacon: str | None = None) -> Opened | None:
        """Commits to the champion, opens the sealed test for it, and reveals the run secret. Ends the run.

        A run that named a beacon round only commits in the first call and returns None; a call with the value of that
        round opens the test. Raises UsageError for a value that cannot be used, and RunError if nothing can be tested.
        """
        past = self.tested
        if past is not None:
            return past
        assert self._hub is not None
        if self.opening.spec.plan is not None and not any(record(b).author for b in self.ledger.read("block")):
            raise RunError(
                f"run {self.directory}: no author has made an experiment, so there is nothing to test; the sealed test "
                "stays closed; make experiments first"
            )
        champion, committed = self.champion(), next(self.ledger.read("commit"), None)
        _check_beacon(self.directory, self.opening.spec.beacon_round, beacon, committed is not None)
        head = committed.hash if committed is not None else self._commit(champion)
        if self.opening.spec.beacon_round is not None:
            self._hub.commit(champion.id, head)
            if beacon is None:
                return None
        opened = self._hub.open_test(Unseal(champion, head, beacon), self.screen.progress)
        if seeding.commitment(opened.secret) != self.opening.commitment:
            raise RunError(f"run {self.directory}: the revealed secret is not the one committed to at the start")
        self.ledger.append(opened)
        return opened

    def _commit(self, champion: Candidate) -> str:
        """Appends the commitment to the champion, and returns the ledger's head."""
        return self.ledger.append(Committed(champion.id), safe=True).hash

    def champion(self) -> Candidate:
        """The last promoted candidate, or the starter if none was."""
        asked, answers = map(record, self.ledger.read("attempt")), map(record, self.ledger.read("answer"))
        return champion(self.opening, asked, answers)

    def close(self) -> None:
        with contextlib.ExitStack() as each:  # all are closed, even if one fails
            each.callback(self.ledger.close)
            if self._executor is not None:
                each.callback(self._executor.close)
            if self._hub is not None:
                each.callback(self._hub.close)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_beacon(directory: Path, round_: str | None, value: str | None, committed: bool) -> None:
    if value is None:
        return
    if round_ is None:
        raise UsageError(
            f"run {directory} named no beacon round when it began, so --beacon {value[:80]!r} proves nothing; leave it "
            "out, and next time begin with `toprope climb TASK --beacon-round ROUND`"
        )
    if not committed:
        raise UsageError(
            f"run {directory} has not committed to a candidate yet; `toprope unseal {directory}` without --beacon "
            f"commits, and the value of {round_} published after that opens the test"
        )
    if not (value.strip() == value and value.isprintable() and 8 <= len(value) <= 1024):
        raise UsageError(f"--beacon {value!r}; expected the value as published, 8 to 1024 printable characters")
