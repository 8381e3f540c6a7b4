"""Plays one job: drives the dialogues, starts children, and attributes a child's death to a variant.

A variant that fails is dead for the rest of the job and its first outcome stays. When a child hangs or dies, the
variant that was running gets the outcome, all that finished before it counts (frames are in shared memory), and a new
child continues with the next one, after replaying this case's earlier rounds for the variants that still need them. An
earlier neighbour may have caused a death (by a thread it left behind), so the variant is tried once more as the first
of a new child before it is blamed. A hang is not retried, because that would cost the limit twice. A forged frame or
message may come from any variant: that window is discarded and each of its variants is played again in a child of its
own. So is a variant whose child was killed from outside (the kernel does that when memory runs out), before it is
blamed. If the *zygote* dies, or a child gets no CPU, no variant is to blame: the zygote is restarted once per job, and
play continues. No decision depends on wall-clock time alone: see patience.py.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from toprope.errors import MachineFault, UsageError, WorkerDied
from toprope.protocols import Outputs
from toprope.sandbox import frames
from toprope.sandbox.inside.candidate import FIRST, OK, TEXT_MAX
from toprope.sandbox.job import MAX_QUESTION, Case, Job, QuestionRefused, job_message, round_message
from toprope.sandbox.patience import TICK_S, Gone, Patience
from toprope.sandbox.process import SLOTS, Child, ChildEnded, Zygote
from toprope.types import Incident, Limits, Outcome, Round, merged

LOAD_S = 1.0  # added to the wall limit for loading, because a fork on a busy machine is slow
DECOYS = {
    b"switch": ("decoy switch", "it changed a switch in its environment that nothing reads"),
    b"scorer": ("decoy scorer", "it replaced a scorer that nothing calls"),
}
EVERYONE, NOBODY = -1, -2  # culprits that stand for no single variant
FORGED = "an impossible counter"
FORBIDDEN = "a forbidden system call (SIGSYS)"
NOISE_MAX = 1 << 16  # more unparseable bytes than this are a flood (outcome output), fewer a forgery (violation)


class Host(Protocol):
    """What a job is played in: `box.Sandbox`. off: layers that are switched off."""

    limits: Limits
    off: frozenset[str]
    zygote: Zygote

    def restart(self) -> None: ...


class Play:
    """One job being played: which variants are alive, which child is running, and which case it has open."""

    def __init__(self, box: Host, job: Job, cases: Sequence[Case]) -> None:
        k = len(job.rows)
        self.box, self.job, self.cases = box, job, cases
        self.outcomes: list[Outcome | None] = [None] * k
        self.alive = np.ones(k, dtype=np.bool_)
        self.messages: dict[int, str] = {}
        self.incidents: dict[int, list[Incident]] = {}
        self.cpu_s = 0.0
        self.child: Child | None = None
        self.entries: frozenset[str] = frozenset()
        self.batches: frozenset[str] = frozenset()  # entry points with a batched form
        self.batching = True  # False after a batch failed
        self.remarks: dict[int, str] = {}  # why it failed, at the batch's first variant; not an outcome
        self.told: Case | None = None  # the case the child has open
        self.done = np.zeros(k, dtype=np.int64)  # rounds of this case played in this child, per variant
        self.first = -1  # the first variant played in this child; no earlier neighbour can have harmed it
        self.crowd = 0  # variants played in this child
        self.alone: set[int] = set()  # variants to play in isolation, after a forgery by one of them
        self.spared: set[int] = set()  # culprits whose child was killed from outside once; EVERYONE: while loading
        self.restarts = 0
        self.backstop_s = math.inf  # CPU seconds after which the kernel ends this child
        self.question = bytearray()  # the received part of this child's question to a model
        self.where = "while loading"  # the child's last request, for the evidence

    # -- one case ---------------------------------------------------------------------------------------------------

    def converse(self, case: Case, deliver: Callable[[Outputs, NDArray[np.bool_]], None]) -> bool:
        """Drives one dialogue to its end. False: no variant is alive."""
        history: list[Round] = []
        self.told = None
        if not self._up(case):
            return False
        try:
            dialogue = case.dialogue(self.entries)
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
            if not self._up(case):
                break
            step = int(self.done[group].min())
            group = group[self.done[group] == step]
            self.where = f"in round {step} ({', '.join(call.fn for call in history[step].calls)})"
            who, got = self._window(history[step], group)
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
        if self.child is not None and (wrong or (lonely and self.first not in (-1, lonely[0]))):
            self._hang_up()
        return np.array(lonely[:1]) if lonely else pending

    def _window(self, question: Round, group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
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
        assert self.child is not None
        batched = self._as_batch(question, len(group))
        try:
            self._ask(question, window, batched)
        except Gone as e:
            gone, finished = self._finished(e, len(group))
        if batched:
            return self._batch(group, window, gone)
        got, good = frames.read(self.child.slots, window, finished, "nonce" not in self.box.off)
        if gone and gone.outcome is Outcome.TIMEOUT and self._answered(window, good):
            gone.pinned = False
        if good < finished:
            gone = Gone(Outcome.VIOLATION, "a frame that is not its own", pinned=False)
        if gone and not gone.pinned and self.crowd > 1:
            self.alone.update(group.tolist())
            self._bury(gone, NOBODY)
            return group[:0], got[:0]
        who, got = self._judge(group[:good], got, arrays)
        if gone:
            self._bury(gone, int(group[min(good, len(group) - 1)]))
        return who, got

    def _as_batch(self, question: Round, variants: int) -> bool:
        """Whether a round is asked of all variants of a window in one call of each function."""
        may = self.batching and variants > 1 and self.job.ask is None
        return may and all(call.each is None and call.fn in self.batches for call in question.calls)

    def _batch(
        self, group: NDArray[np.int64], window: frames.Window, gone: Gone | None
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The frames of a batch. If anything is wrong with one of them, no variant is blamed: from here on this job is
        played with the plain functions, variant by variant, in a new child."""
        assert self.child is not None
        got, good = frames.read(self.child.slots, window, 0 if gone else len(group), "nonce" not in self.box.off)
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

    def _answered(self, window: frames.Window, position: int) -> bool:
        """Whether the variant that would be blamed for a silence has answered. Then another one caused the silence, by
        an incomplete note or by moving the counter."""
        assert self.child is not None
        last = len(window.variants)
        return frames.read(self.child.slots, window, min(position + 1, last))[1] in (position + 1, last)

    def _finished(self, gone: Gone, asked: int) -> tuple[Gone, int]:
        """How many variants were done at that end. An impossible counter replaces it by a violation."""
        assert self.child is not None
        told = self.child.finished() if gone.finished is None else gone.finished
        if told is None or told > asked:
            return Gone(Outcome.VIOLATION, FORGED, pinned=False), 0
        return gone, told

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

    # -- talking to the child ---------------------------------------------------------------------------------------

    def _patience(self, cpu_s: float = math.inf, extra_s: float = 0.0) -> Patience:
        """The time that the child has to answer, or to read what it is sent."""
        assert self.child is not None
        return Patience(self.child, self.box.limits.wall_s + extra_s, cpu_s)

    def _ask(self, question: Round, window: frames.Window, batched: bool) -> None:
        assert self.child is not None
        nonce = secrets.token_hex(8)
        meta, blob = round_message(question, window, batched)
        self.child.round += 1
        meta |= {"nonce": nonce, "round": self.child.round}
        patience = self._patience()
        if not self.child.say(meta, blob, -1, patience):
            self._silent(patience)
        self._listen(nonce.encode(), window)

    def _listen(self, nonce: bytes, window: frames.Window) -> None:
        """Listens until "done" with this round's nonce. Raises Gone for anything else. Time counts from the last change
        of the counter."""
        child, n = self.child, len(window.variants)
        assert child is not None
        members, count = set(window.variants.tolist()), 0
        patience = self._patience(self.box.limits.cpu_s)
        while True:
            late = patience.over() and "kill" not in self.box.off
            heard = child.hear(0.0 if late else patience.pause())
            if heard == b"":
                raise self._autopsy()
            child.inbox += heard or b""
            for note in self._notes():
                if note == (b"D", n, nonce) and not child.inbox and child.settle(n):
                    return
                self._heard(note, window, members, patience)
            now = child.finished()
            if now is None or not count <= now <= n:
                raise Gone(Outcome.VIOLATION, FORGED, pinned=False)
            if now != count:
                count = now
                patience.begin()
            elif late:
                raise Gone(Outcome.TIMEOUT, "no answer within the limit", finished=count)

    def _heard(self, note: frames.Note, window: frames.Window, members: set[int], patience: Patience) -> None:
        """Handles a note before the end of a round. members: variants that may still send an error text."""
        if note.kind == b"E" and self.job.detail and note.number in members and len(note.text) <= 2 * TEXT_MAX:
            members.discard(note.number)
            self.messages.setdefault(note.number, note.text.decode("utf-8", "replace"))
        elif note.kind == b"T" and note.text in DECOYS and self.job.decoys is not None:
            self._touched(*DECOYS[note.text], window.variants.tolist())
        elif note.kind in b"PQ" and self.job.ask is not None and note.number in window.variants:
            patience.spare(self._asked(note))  # the model's time is not the candidate's
        else:
            raise Gone(Outcome.VIOLATION, "a message that was not asked for", pinned=False)

    def _asked(self, note: frames.Note) -> float:
        """Handles one part of a question to a model; after the last part it sends the answer. Returns the seconds that
        the model took."""
        assert self.child is not None
        assert self.job.ask is not None
        self.question += note.text
        if len(self.question) > MAX_QUESTION:
            raise Gone(Outcome.OUTPUT, f"a question of more than {MAX_QUESTION} bytes")
        if note.kind == b"P":
            return 0.0
        question, began = bytes(self.question), time.monotonic()
        self.question.clear()
        try:
            meta, reply = {}, self.job.ask(question, note.number).encode()
        except QuestionRefused as e:
            meta, reply = {"refused": str(e)}, b""
        took = time.monotonic() - began
        patience = self._patience()
        if not self.child.say(meta, reply, -1, patience):
            self._silent(patience)
        return took

    def _notes(self) -> list[frames.Note]:
        assert self.child is not None
        found = frames.notes(self.child.inbox)
        if found is not None:
            return found
        noise = len(self.child.inbox)
        patience = Patience(self.child, TICK_S)
        while noise <= NOISE_MAX and (more := self.child.hear(patience.pause())) != b"" and not patience.over():
            noise += len(more or b"")
        if noise > NOISE_MAX:
            raise Gone(Outcome.OUTPUT, "a flood", pinned=False)
        raise Gone(Outcome.VIOLATION, "malformed bytes", pinned=False)

    def _silent(self, patience: Patience) -> NoReturn:
        """The child is dead or does not read its socket. Raises Gone."""
        if patience.over():
            raise Gone(Outcome.TIMEOUT, "it did not read what it was sent")
        raise self._autopsy()

    def _autopsy(self) -> Gone:
        """The child closed its socket: reaps it and returns the cause of death."""
        assert self.child is not None
        patience = self._patience()
        while not self.child.ends(patience.pause()):
            if patience.over() and not self.child.ends(0.0):
                return Gone(Outcome.CRASH, "it closed its only channel and ran on")
        try:
            ended = self._reap()
        except WorkerDied as e:
            return Gone(None, str(e))
        if os.WIFSIGNALED(ended.status):
            name = os.WTERMSIG(ended.status)
            return _death(name, ended.child_s, self.backstop_s)
        return Gone(Outcome.CRASH, f"it ended early with exit status {os.WEXITSTATUS(ended.status)}")

    # -- children come and go ---------------------------------------------------------------------------------------

    def _up(self, case: Case) -> bool:
        """Makes sure that a child knows the job and has this case open. False: no variant is alive."""
        while self.alive.any():
            try:
                if self.child is None:
                    self._start(case)
                if self.told is not case:
                    self._open(case)
                return True
            except Gone as e:
                self._bury(e, EVERYONE)
        return False

    def _start(self, case: Case) -> None:
        try:
            self.child = self.box.zygote.fork()
        except WorkerDied as e:
            raise Gone(None, str(e)) from None
        self.told, self.first, self.crowd = None, -1, 0
        self.question.clear()
        self.done[:] = 0
        patience = self._patience(extra_s=LOAD_S)
        meta, blob = job_message(self.job, self.cases, self.box.limits, int(self.alive.sum()))
        self.backstop_s = float(meta["cpu_s"])
        if not self.child.say_job(meta, blob, patience):
            self._silent(patience)
        deaf: Gone | None = None
        try:
            self._open(case)  # before its hello arrives, which saves a wake-up
        except Gone as e:  # it may have sent the reason before it closed the socket
            deaf = e
        self._first_words(patience, deaf)

    def _first_words(self, patience: Patience, deaf: Gone | None) -> None:
        """Waits for the note that its layers are set up, then for its hello. A child that ends before the first is not
        the candidate's fault, because none of its code has run."""
        assert self.child is not None
        ready = late = False
        while True:
            found = self._notes()
            if found and not ready:
                ready = self._set_up(found.pop(0))
            if found:
                return self._hello(found)
            before, late = late, patience.over()
            heard = self.child.hear(0.0 if late else patience.pause())
            gone = None
            if heard == b"":
                gone = deaf or self._autopsy()
            elif late and (heard is None or before):
                gone = Gone(Outcome.TIMEOUT, "loading it took longer than the limit")
            if gone is not None:
                raise gone if ready else Gone(None, f"a child ended before its layers were set up: {gone.why}")
            self.child.inbox += heard or b""

    def _set_up(self, note: frames.Note) -> bool:
        if note.kind == b"M":
            text = note.text.decode("utf-8", "replace")
            raise MachineFault(
                f"a candidate's process cannot be set up here: {text}; compare `ulimit -a` with its task"
            )
        return note.kind == b"S"

    def _hello(self, found: list[frames.Note]) -> None:
        first = found[0]
        n = len(self.job.entries)
        if first.kind == b"H" and len(found) == 1 and len(first.text) == 2 * n:
            self.entries = frozenset(name for name, yes in zip(self.job.entries, first.text[:n], strict=True) if yes)
            self.batches = frozenset(name for name, yes in zip(self.job.entries, first.text[n:], strict=True) if yes)
        elif first.kind == b"X" and len(found) == 1 and first.number in frames.KINDS and first.number != OK:
            raise Gone(frames.KINDS[first.number], first.text.decode("utf-8", "replace"))
        else:
            raise Gone(Outcome.VIOLATION, "a malformed hello message")

    def _open(self, case: Case) -> None:
        assert self.child is not None
        patience = self._patience()
        if not self.child.say({"seed": case.seed, "size": case.public.size}, b"", case.public.fd, patience):
            self._silent(patience)
        self.told = case
        self.done[:] = 0

    def _bury(self, gone: Gone, culprit: int) -> None:
        """Kills the child and gives the culprit its outcome. A new child follows."""
        if self.child is not None:
            self.child.kill()
            try:
                self._reap()
            except WorkerDied:
                gone = Gone(None, gone.why)
            if self.child is not None:
                self.child.close()
                self.child = None
        if gone.outcome is None:
            self._mend(gone.why)
        elif gone.outside and culprit not in self.spared:
            self.spared.add(culprit)
            self.alone.update({culprit} - {EVERYONE})
        elif culprit == EVERYONE:
            self._fail_all(gone.outcome, gone.why)
        elif culprit != NOBODY and (culprit == self.first or gone.outcome is Outcome.TIMEOUT):
            self._fail(culprit, gone.outcome, gone.why)

    def _mend(self, why: str) -> None:
        self.restarts += 1
        if self.restarts > 1:
            raise WorkerDied(f"{why}, twice within one job; the run can be resumed")
        self.box.restart()

    def _reap(self) -> ChildEnded:
        """Reaps the child once; later calls return the same result."""
        assert self.child is not None
        if self.child.ended is None:
            self.child.ended = self.box.zygote.reap()
            self.cpu_s += self.child.ended.child_s + self.child.ended.zygote_s
        return self.child.ended

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

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        """Lets the child end. A forbidden act after the last answer counts against a block of one; in a larger block it
        cannot be attributed to a variant, changes no answer, and is only shown to the operator."""
        if self.child is None:
            return
        late = self.child.let_go()
        try:
            ended = self._reap()
        except WorkerDied:
            ended = ChildEnded(0, 0.0, 0.0)  # the next job starts a new zygote; this one has all its answers
        self.child.close()
        self.child = None
        if late:
            self._late("bytes after the last answer")
        elif os.WIFSIGNALED(ended.status) and os.WTERMSIG(ended.status) == signal.SIGSYS:
            self._late(FORBIDDEN)

    def _late(self, text: str) -> None:
        if self.first < 0:
            return
        if self.crowd == 1:
            self._fail(self.first, Outcome.VIOLATION, text)
        else:
            self._saw(self.first, "tripwire", "advisory", f"{text}, by this variant or another of its block")


def _death(number: int, cpu_s: float, backstop_s: float) -> Gone:
    name = signal.Signals(number).name
    if number == signal.SIGSYS:
        return Gone(Outcome.VIOLATION, FORBIDDEN)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_s >= backstop_s):
        return Gone(Outcome.TIMEOUT, f"CPU limit ({name})")
    if number == signal.SIGKILL:  # neither we nor the candidate can have sent it: the kernel ran out of memory
        return Gone(Outcome.MEMORY, "killed from outside, most likely for memory", outside=True)
    return Gone(Outcome.CRASH, f"killed by {name}")
