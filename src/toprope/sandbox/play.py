"""Plays one job: drives the dialogues, starts children, and attributes a child's death to a variant.

A variant that fails is dead for the rest of the job and its first outcome stays. When a child hangs or dies, the
variant that was running gets the outcome, all that finished before it counts (frames are in shared memory), and a new
child continues with the next one, after replaying this case's earlier rounds for the variants that still need them. An
earlier neighbour may have caused a death (by a thread it left behind), so the variant is tried once more as the first
of a new child before it is blamed. A hang is not retried, because that would cost the limit twice. A forged frame or
message may come from any variant: that window is discarded and each of its variants is played again in a child of its
own. So is a variant whose child was killed from outside (the kernel does that when memory runs out), before it is
blamed. A window that ends its child in a replay is isolated, too, because every retry would begin with the same replay
and so might never end. If the *zygote* dies, or a child gets no CPU, no variant is to blame: the zygote is restarted
once per job, and play continues. No decision depends on wall-clock time alone: see patience.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError, WorkerDied
from toprope.protocols import Outputs
from toprope.sandbox import frames
from toprope.sandbox.inside.channel import FIRST, OK
from toprope.sandbox.job import Case, Job
from toprope.sandbox.patience import Gone
from toprope.sandbox.process import SLOTS
from toprope.sandbox.talk import Host, Talk
from toprope.types import Incident, Outcome, Round, merged

EVERYONE, NOBODY = -1, -2  # culprits that stand for no single variant


class Play:
    """One job being played: which variants are alive, which child is running, and what was played in it."""

    def __init__(self, box: Host, job: Job, cases: Sequence[Case]) -> None:
        k = len(job.rows)
        self.box, self.job, self.cases = box, job, cases
        self.outcomes: list[Outcome | None] = [None] * k
        self.alive = np.ones(k, dtype=np.bool_)
        self.messages: dict[int, str] = {}
        self.incidents: dict[int, list[Incident]] = {}
        self.cpu_s = 0.0
        self.talk: Talk | None = None  # with the child that is running
        self.batching = True  # False after a batch failed
        self.remarks: dict[int, str] = {}  # why it failed, at the batch's first variant; not an outcome
        self.told: Case | None = None  # the case the child has open
        self.done = np.zeros(k, dtype=np.int64)  # rounds of this case played in this child, per variant
        self.first = -1  # the first variant played in this child; no earlier neighbour can have harmed it
        self.crowd = 0  # variants played in this child
        self.alone: set[int] = set()  # variants to play in isolation, after a forgery by one of them
        self.spared: set[int] = set()  # culprits whose child was killed from outside once; EVERYONE: while loading
        self.restarts = 0
        self.where = "while loading"  # the child's last request, for the evidence

    # -- one case ---------------------------------------------------------------------------------------------------

    def converse(self, case: Case, deliver: Callable[[Outputs, NDArray[np.bool_]], None]) -> bool:
        """Drives one dialogue to its end. False: no variant is alive."""
        history: list[Round] = []
        self.told = None
        if (talk := self._up(case)) is None:
            return False
        try:
            dialogue = case.dialogue(talk.entries)
            question = next(dialogue)
        except ValueError as e:  # the task rejects these entry points
            self._fail_all(Outcome.INVALID, str(e))
            return False
        while True:
            history.append(question)
            columns = self._round(case, history)
            if not self.alive.any():
                dialogue.close()
                return False
            try:
                question = dialogue.send(columns)
            except StopIteration as end:
                deliver(end.value, self.alive.copy())
                return True

    def _round(self, case: Case, history: list[Round]) -> Outputs:
        """Plays the last round of `history` on every live variant; earlier rounds are replayed for a new child."""
        _, arrays = frames.layout(history[-1])
        k = len(self.alive)
        columns = {a.name: np.zeros((k, *a.shape), np.dtype("<" + a.dtype.lstrip("<"))) for a in arrays}
        answered = np.zeros(k, dtype=np.bool_)
        while (pending := np.flatnonzero(self.alive & ~answered)).size:
            group = self._company(pending)
            if (talk := self._up(case)) is None:
                break
            step = int(self.done[group].min())
            group = group[self.done[group] == step]
            self.where = f"in round {step} ({', '.join(call.fn for call in history[step].calls)})"
            who, got = self._window(talk, history[step], group, replay=step < len(history) - 1)
            self.done[who] = step + 1
            if step == len(history) - 1:
                for a in arrays:
                    columns[a.name][who] = got[a.name]
                answered[who] = True
        for column in columns.values():
            column[~self.alive] = 0
        return columns

    def _company(self, pending: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pending variants that may share a child: all of them, or one that must be isolated. Ends a child in which
        others have already run."""
        if not self.alone:
            return pending
        lonely = [v for v in pending.tolist() if v in self.alone]
        wrong = self.first in self.alone and self.first != (lonely[0] if lonely else -1)
        if self.talk is not None and (wrong or (lonely and self.first not in (-1, lonely[0]))):
            self._hang_up()
        return np.array(lonely[:1]) if lonely else pending

    def _window(
        self, talk: Talk, question: Round, group: NDArray[np.int64], *, replay: bool
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Asks as many variants of the group as the slots hold. Returns those with valid answers, and their frames in
        the same order."""
        kind, arrays = frames.layout(question)
        if kind.itemsize > SLOTS - FIRST:
            raise UsageError(f"one answer of {kind.itemsize} bytes is more than the sandbox carries ({SLOTS - FIRST})")
        group = group[: (SLOTS - FIRST) // kind.itemsize]
        nonces = np.frombuffer(os.urandom(8 * len(group)), np.uint64)
        window = frames.Window(group.astype(np.uint32), nonces, kind, arrays)
        finished = len(group)
        gone = None
        self.first = int(group[0]) if self.first < 0 else self.first
        self.crowd = max(self.crowd, finished, 1 + (int(group[0]) != self.first))
        batched = len(group) > 1 and self._may_batch(talk, question)
        try:
            talk.ask(question, window, batched)
        except Gone as e:
            gone, finished = talk.finished(e, len(group))
        if batched:
            return self._batch(talk, group, window, gone)
        got, good = talk.read(window, finished)
        if gone and gone.outcome is Outcome.TIMEOUT and _answered(talk, window, good):
            gone.pinned = False
        if good < finished:
            gone = Gone(Outcome.VIOLATION, "a frame that is not its own", pinned=False)
        culprit = int(group[min(good, len(group) - 1)])
        if replay and gone and gone.outcome and not gone.outside and not self._blames(gone, culprit):
            gone.pinned = False
        if gone and not gone.pinned and self.crowd > 1:
            self.alone.update(group.tolist())
            self._bury(gone, NOBODY)
            return group[:0], got[:0]
        who, got = self._judge(group[:good], got, arrays)
        if gone:
            self._bury(gone, culprit)
        return who, got

    def _may_batch(self, talk: Talk, question: Round) -> bool:
        """Whether a round may be asked of all variants of a window in one call of each function."""
        may = self.batching and self.job.ask is None
        return may and all(call.each is None and call.fn in talk.batches for call in question.calls)

    def _batch(
        self, talk: Talk, group: NDArray[np.int64], window: frames.Window, gone: Gone | None
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The frames of a batch. If anything is wrong with one of them, no variant is blamed: from here on this job is
        played with the plain functions, variant by variant, in a new child."""
        got, good = talk.read(window, 0 if gone else len(group))
        bad = {} if "schema" in self.box.off else frames.faults(got, window.arrays)
        if gone is None and good == len(group) and (got["#kind"] == OK).all() and not bad:
            return group, got
        if gone is not None and gone.outcome is None:  # the zygote died, or the child got no CPU
            self._bury(gone, NOBODY)
            return group[:0], got[:0]
        if gone is not None and gone.outcome in (Outcome.VIOLATION, Outcome.OUTPUT):
            self._saw(int(group[0]), "tripwire", "advisory", f"{gone.why}, by this variant or another of its batch")
        self.batching = False
        why = self.messages.pop(int(group[0]), "") or (gone.why if gone is not None else next(iter(bad.values()), ""))
        if self.job.detail:
            self.remarks[int(group[0])] = f"the batched form failed, so the plain form was used: {why}"
        self._bury(Gone(Outcome.INVALID, "a batch that failed"), NOBODY)
        return group[:0], got[:0]

    def _judge(
        self, group: NDArray[np.int64], got: NDArray[Any], arrays: tuple[Any, ...]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Removes the variants whose frame reports a failure or holds invalid numbers."""
        fine: NDArray[np.bool_] = np.asarray(got["#kind"] == OK)
        for i in np.flatnonzero(~fine).tolist():
            self._fail(int(group[i]), frames.KINDS[int(got["#kind"][i])], "")
        bad = {} if "schema" in self.box.off else frames.faults(got, arrays)
        for i, text in bad.items():
            if fine[i]:
                self._fail(int(group[i]), Outcome.INVALID, text)
                fine[i] = False
        fine &= self.alive[group]
        return (group, got) if fine.all() else (group[fine], got[fine])

    # -- children come and go ---------------------------------------------------------------------------------------

    def _up(self, case: Case) -> Talk | None:
        """The talk with a child that knows the job and has this case open. None: no variant is alive."""
        while self.alive.any():
            try:
                talk = self.talk or self._start(case)
                if self.told is not case:
                    talk.open(case)
                    self.told = case
                    self.done[:] = 0
                return talk
            except Gone as e:
                self._bury(e, EVERYONE)
        return None

    def _start(self, case: Case) -> Talk:
        talk = self.talk = Talk(self.box, self.job, self.messages.setdefault, self._touched)
        self.told, self.first, self.crowd = None, -1, 0
        self.done[:] = 0
        if talk.begin(self.cases, case, int(self.alive.sum())):
            self.told = case
        return talk

    def _bury(self, gone: Gone, culprit: int) -> None:
        """Kills the child and gives the culprit its outcome. A new child follows."""
        if self.talk is not None:
            if not self.talk.kill():
                gone = Gone(None, gone.why)
            self._over(self.talk)
        if gone.outcome is None:
            self._mend(gone.why)
        elif gone.outside and culprit not in self.spared:
            self.spared.add(culprit)
            self.alone.update({culprit} - {EVERYONE})
        elif culprit == EVERYONE:
            self._fail_all(gone.outcome, gone.why)
        elif culprit != NOBODY and self._blames(gone, culprit):
            self._fail(culprit, gone.outcome, gone.why)

    def _blames(self, gone: Gone, culprit: int) -> bool:
        """Whether this variant gets the outcome, instead of being tried once more as the first of a child."""
        return culprit == self.first or gone.outcome is Outcome.TIMEOUT

    def _mend(self, why: str) -> None:
        self.restarts += 1
        if self.restarts > 1:
            raise WorkerDied(f"{why}, twice within one job; the run can be resumed")
        self.box.restart()

    def _hang_up(self) -> None:
        """Lets the child end. A forbidden act after the last answer counts against a block of one; in a larger block it
        cannot be attributed to a variant, changes no answer, and is only shown to the operator."""
        if self.talk is None:
            return
        late = self.talk.let_go()
        self._over(self.talk)
        if not late or self.first < 0:
            return
        if self.crowd == 1:
            self._fail(self.first, Outcome.VIOLATION, late)
        else:
            self._saw(self.first, "tripwire", "advisory", f"{late}, by this variant or another of its block")

    def _over(self, talk: Talk) -> None:
        self.cpu_s += talk.cpu_s
        self.talk = None

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    # -- outcomes ---------------------------------------------------------------------------------------------------

    def _fail(self, variant: int, outcome: Outcome, text: str) -> None:
        """Sets a variant's outcome. The first one stays, but later violations are still noted, so that a crash does not
        hide a forgery."""
        if outcome in (Outcome.VIOLATION, Outcome.OUTPUT):
            self._saw(variant, "tripwire", "advisory", text)
        if not self.alive[variant]:
            return
        self.alive[variant] = False
        self.outcomes[variant] = outcome
        if self.job.detail and text:
            self.messages.setdefault(variant, text)

    def _touched(self, kind: str, text: str, variants: list[int]) -> None:
        """Notes a touched decoy: certain if the variant ran in isolation; otherwise advisory for all that may have
        touched it."""
        alone = self.crowd == 1
        for variant in variants:
            said = text if alone else f"{text}, by this variant or another of its block"
            self._saw(variant, kind, "certain" if alone else "advisory", said)

    def _saw(self, variant: int, kind: str, severity: str, text: str) -> None:
        fresh = Incident(kind, severity, f"{text}, {self.where}")
        self.incidents[variant] = merged([*self.incidents.get(variant, []), fresh])

    def _fail_all(self, outcome: Outcome, text: str) -> None:
        for variant in np.flatnonzero(self.alive).tolist():
            self._fail(variant, outcome, text)


def _answered(talk: Talk, window: frames.Window, position: int) -> bool:
    """Whether the variant that would be blamed for a silence has answered. Then another one caused the silence, by an
    incomplete note or by moving the counter."""
    last = len(window.variants)
    return talk.read(window, min(position + 1, last))[1] in (position + 1, last)
