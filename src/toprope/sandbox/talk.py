"""The talk with one child: hello, one case open at a time, questions to its variants, its notes, and how it ends.

A `Talk` knows what an honest child may say, and when. Anything else ends in `Gone`, with what happened and whether the
counter shows which variant was running. Which variant is to blame is for play.py to decide.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from numpy.typing import NDArray

from toprope.errors import MachineFault, WorkerDied
from toprope.sandbox import frames
from toprope.sandbox.inside.channel import OK, TEXT_MAX
from toprope.sandbox.job import MAX_QUESTION, Case, Job, QuestionRefused, job_message, round_message
from toprope.sandbox.patience import TICK_S, Gone, Patience
from toprope.sandbox.process import ChildEnded, Zygote
from toprope.types import Limits, Outcome, Round

LOAD_S = 1.0  # added to the wall limit for loading, because a fork on a busy machine is slow
DECOYS = {
    b"switch": ("decoy switch", "it changed a switch in its environment that nothing reads"),
    b"scorer": ("decoy scorer", "it replaced a scorer that nothing calls"),
}
FORGED = "an impossible counter"
FORBIDDEN = "a forbidden system call (SIGSYS)"
NOISE_MAX = 1 << 16  # more unparseable bytes than this are a flood (outcome output), fewer a forgery (violation)


class Host(Protocol):
    """What a job is played in: `box.Sandbox`. off: layers that are switched off."""

    limits: Limits
    off: frozenset[str]
    zygote: Zygote

    def restart(self) -> None: ...


class Talk:
    """One child of the host's zygote, from its fork to its end. Making one, and all that is said to it, may raise Gone.

    on_text: is called with a variant and the text of its error. on_decoy: with kind and text of an incident, and the
    variants of which one or more touched the decoy.
    """

    def __init__(
        self,
        box: Host,
        job: Job,
        on_text: Callable[[int, str], object],
        on_decoy: Callable[[str, str, list[int]], object],
    ) -> None:
        self.box, self.job, self.on_text, self.on_decoy = box, job, on_text, on_decoy
        try:
            self.child = box.zygote.fork()
        except WorkerDied as e:
            raise Gone(None, str(e)) from None
        self.entries: frozenset[str] = frozenset()
        self.batches: frozenset[str] = frozenset()  # entry points with a batched form
        self.backstop_s = math.inf  # CPU seconds after which the kernel ends this child
        self.question = bytearray()  # the received part of this child's question to a model
        self.ended: ChildEnded | None = None

    # -- from fork to hello -----------------------------------------------------------------------------------------

    def begin(self, cases: Sequence[Case], first: Case, alive: int) -> bool:
        """Sends the job, opens its first case and waits for hello. Returns whether the case is open."""
        patience = self._patience(extra_s=LOAD_S)
        meta, blob = job_message(self.job, cases, self.box.limits, alive)
        self.backstop_s = float(meta["cpu_s"])
        if not self.child.say_job(meta, blob, patience):
            self._silent(patience)
        deaf: Gone | None = None
        try:
            self.open(first)  # before its hello arrives, which saves a wake-up
        except Gone as e:  # it may have sent the reason before it closed the socket
            deaf = e
        self._first_words(patience, deaf)
        return deaf is None

    def _first_words(self, patience: Patience, deaf: Gone | None) -> None:
        """Waits for the note that its layers are set up, then for its hello. A child that ends before the first is not
        the candidate's fault, because none of its code has run."""
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

    def open(self, case: Case) -> None:
        """Sends the public part of a case, which replaces the one that was open."""
        patience = self._patience()
        if not self.child.say({"seed": case.seed, "size": case.public.size}, b"", case.public.fd, patience):
            self._silent(patience)

    # -- question and answers ---------------------------------------------------------------------------------------

    def ask(self, question: Round, window: frames.Window, batched: bool) -> None:
        """Asks the variants of a window; returns once all of them are done."""
        nonce = secrets.token_hex(8)
        meta, blob = round_message(question, window, batched)
        self.child.round += 1
        meta |= {"nonce": nonce, "round": self.child.round}
        patience = self._patience()
        if not self.child.say(meta, blob, -1, patience):
            self._silent(patience)
        self._listen(nonce.encode(), window)

    def finished(self, gone: Gone, asked: int) -> tuple[Gone, int]:
        """How many variants were done at that end. An impossible counter replaces it by a violation."""
        told = self.child.finished() if gone.finished is None else gone.finished
        if told is None or told > asked:
            return Gone(Outcome.VIOLATION, FORGED, pinned=False), 0
        return gone, told

    def read(self, window: frames.Window, finished: int) -> tuple[NDArray[Any], int]:
        """The frames that a window's first `finished` variants have written, as `frames.read` returns them."""
        return frames.read(self.child.slots, window, finished, "nonce" not in self.box.off)

    def _patience(self, cpu_s: float = math.inf, extra_s: float = 0.0) -> Patience:
        """The time that the child has to answer, or to read what it is sent."""
        return Patience(self.child, self.box.limits.wall_s + extra_s, cpu_s)

    def _listen(self, nonce: bytes, window: frames.Window) -> None:
        """Listens until "done" with this round's nonce. Raises Gone for anything else. Time counts from the last change
        of the counter."""
        child, n = self.child, len(window.variants)
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
            self.on_text(note.number, note.text.decode("utf-8", "replace"))
        elif note.kind == b"T" and note.text in DECOYS and self.job.decoys is not None:
            self.on_decoy(*DECOYS[note.text], window.variants.tolist())
        elif note.kind in b"PQ" and self.job.ask is not None and note.number in window.variants:
            patience.spare(self._asked(note))  # the model's time is not the candidate's
        else:
            raise Gone(Outcome.VIOLATION, "a message that was not asked for", pinned=False)

    def _asked(self, note: frames.Note) -> float:
        """Handles one part of a question to a model; after the last part it sends the answer. Returns the seconds that
        the model took."""
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

    # -- its end ----------------------------------------------------------------------------------------------------

    def kill(self) -> bool:
        """Kills the child. False: the zygote has ended, too."""
        self.child.kill()
        self._close()
        return self.ended is not None

    def let_go(self) -> str:
        """Lets the child end. Returns which forbidden act it did after its last answer; empty for none."""
        late = self.child.let_go()
        self._close()  # if the zygote has ended, too, the next job starts a new one; this one has all its answers
        if late:
            return "bytes after the last answer"
        return FORBIDDEN if self.ended is not None and _signal(self.ended) == signal.SIGSYS else ""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the child and of the zygote for it, once it has ended."""
        return 0.0 if self.ended is None else self.ended.child_s + self.ended.zygote_s

    def _close(self) -> None:
        with contextlib.suppress(WorkerDied):
            self._reap()
        self.child.close()

    def _reap(self) -> ChildEnded:
        """Reaps the child once; later calls return the same result."""
        if self.ended is None:
            self.ended = self.box.zygote.reap()
        return self.ended

    def _silent(self, patience: Patience) -> NoReturn:
        """The child is dead or does not read its socket. Raises Gone."""
        if patience.over():
            raise Gone(Outcome.TIMEOUT, "it did not read what it was sent")
        raise self._autopsy()

    def _autopsy(self) -> Gone:
        """The child closed its socket: reaps it and returns the cause of death."""
        patience = self._patience()
        while not self.child.ends(patience.pause()):
            if patience.over() and not self.child.ends(0.0):
                return Gone(Outcome.CRASH, "it closed its only channel and ran on")
        try:
            ended = self._reap()
        except WorkerDied as e:
            return Gone(None, str(e))
        if number := _signal(ended):
            return _death(number, ended.child_s, self.backstop_s)
        return Gone(Outcome.CRASH, f"it ended early with exit status {os.WEXITSTATUS(ended.status)}")


def _signal(ended: ChildEnded) -> int:
    """The signal that ended it; 0 if none did."""
    return os.WTERMSIG(ended.status) if os.WIFSIGNALED(ended.status) else 0


def _death(number: int, cpu_s: float, backstop_s: float) -> Gone:
    name = signal.Signals(number).name
    if number == signal.SIGSYS:
        return Gone(Outcome.VIOLATION, FORBIDDEN)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_s >= backstop_s):
        return Gone(Outcome.TIMEOUT, f"CPU limit ({name})")
    if number == signal.SIGKILL:  # neither we nor the candidate can have sent it: the kernel ran out of memory
        return Gone(Outcome.MEMORY, "killed from outside, most likely for memory", outside=True)
    return Gone(Outcome.CRASH, f"killed by {name}")
