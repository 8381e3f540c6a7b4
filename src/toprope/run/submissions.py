"""Where authors (language models, agents, people) submit candidates of their own to a run.

Run, ledger, referee and sandbox are the same as in a climb without a model. An author gets what a climber gets: full
dev scores, one bit per attempt, and a measurement with a PROMOTE. Claims of an author count nowhere; every number of
the leaderboard comes from the ledger. Experiments run one after another, each on all cores, because authors think
longer than candidates run. Authors that wait for the scorers or the gate take turns (`turns.py`); nothing else waits
for these. Safe to call from several threads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from toprope.errors import RunError, UsageError, WorkerDied
from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Work
from toprope.journal.history import champion
from toprope.journal.records import AttemptRecord, Author, Generation, Opening, record
from toprope.protocols import Ledger, TaskSpec
from toprope.referee.recorded import Answer
from toprope.run import stopping
from toprope.run.accounts import Accounts, Quota
from toprope.run.attempts import CROWD, Attempts, Practised, TooSlow
from toprope.run.experiment import joined
from toprope.run.notes import Inbox
from toprope.run.practice import STARTER, Practice, PracticeResult
from toprope.run.turns import Turns
from toprope.space import several
from toprope.types import Block, Candidate, Incident, Outcome

AUTHOR_SLOTS = 2  # release slots of an answer; all authors wait until it has left
CUTS = 8  # pieces of dev that an experiment is cut into, for the scorers to share

QUARANTINED = Incident("quarantine", "certain", "a certain incident in its dev experiment")


class Submissions:
    """The submissions of one session. Its whole state is read from the ledger or written there first."""

    def __init__(
        self,
        opening: Opening,
        spec: TaskSpec,
        ledger: Ledger,
        executor: Executor,
        attempts: Attempts,
        quota: Quota,
        single_child: bool,
        vault: Path,
        directory: Path,
    ) -> None:
        """single_child: run all draws of an experiment in one child, for a task with a tally over draws. vault: where
        questions to the task's oracle are counted. directory: of the run, where notes of its operator arrive."""
        self.vault = vault
        self.opening, self.spec, self.quota, self._single_child = opening, spec, quota, single_child
        self._ledger, self._executor, self._attempts = ledger, executor, attempts
        self._lock = attempts.lock  # guards this object's state; never held while a candidate or the gate works
        self._scorers, self._gate = Turns(), Turns()
        self._sent: dict[str, Future[Answer | None]] = {}  # candidate -> its attempt, while it has no answer
        self.workspaces: list[
            Callable[[], contextlib.AbstractContextManager[None]]
        ] = []  # each stops all processes of a workspace
        self._closed = False
        self._slow: dict[str, str] = {}  # candidate -> why it is too slow for the gate
        self.practice = Practice(opening, self._lock)
        self.accounts = Accounts(ledger, self._lock, self._refuse_closed, lambda: self.elapsed)
        self.inbox = Inbox(ledger, directory, self._lock, lambda: self._closed, lambda: len(self.practice.judged))
        past = [r.elapsed for r in map(record, ledger.read("generation"))]
        self._generations, self._start = len(past), time.monotonic()
        self._before: float = max([0.0, *past, *(s.elapsed for s in self.accounts.spent)])
        self._replay()

    # ------------------------------------------------------------ what has been

    def _replay(self) -> None:
        """Reads the ledger, then finishes what a killed session had begun: a barrier, the starter, an answer."""
        for block in map(record, self._ledger.read("block")):
            self.practice.add(block)
            if len(self.practice.judged) > self._generations:
                self._barrier()
        if not self.practice.judged:
            space = self.opening.space
            self._run(Author(STARTER, Candidate(self.opening.tree, space.decode(space.default()))))
        for asked in self.asked.values():
            if asked.clean and asked.candidate.id not in self.answers:
                self._hear(asked)

    @property
    def asked(self) -> dict[str, AttemptRecord]:
        """Candidate -> the record of its attempt."""
        return self._attempts.asked

    @property
    def answers(self) -> dict[str, Answer]:
        """Candidate -> the gate's answer."""
        return self._attempts.answers

    @property
    def elapsed(self) -> float:
        """Seconds of work on this run, over all sessions."""
        return self._before + time.monotonic() - self._start

    @property
    def left(self) -> int:
        """Experiments that the run may still make."""
        most = self.opening.spec.experiments
        return 0 if self.stopped else max(0, 2**31 if most is None else most - len(self.practice.judged))

    @property
    def stopped(self) -> str:
        """Why the run's user wants it to end here (`stopping.py`); empty while it goes on."""
        with self._lock:
            promoted = [a for a in self.answers.values() if a.promoted]
            since = max([self.practice.improved(), *(self.asked[a.candidate].run_experiments for a in promoted)])
            measured = promoted[-1].measured.value if promoted and promoted[-1].measured is not None else None
            return stopping.reason(self.opening.spec, len(self.practice.judged), since, measured)

    def free(self, author: str) -> bool:
        """Whether the numbers of experiments of the run and of the author allow another one."""
        with self._lock:
            return self.left > 0 and sum(j.author == author for j in self.practice.judged) < self.quota.experiments

    @property
    def champion(self) -> Candidate:
        with self._lock:  # an answer may come meanwhile
            return champion(self.opening, self.asked.values(), self.answers.values())

    # ------------------------------------------------------------ experiments

    def evaluate(self, candidate: Candidate, author: str, parent: str = "") -> PracticeResult:
        """One experiment on all dev draws. Raises UsageError if the author, or the run, has none left."""
        if (again := self._known(candidate, author)) is not None:
            return again
        with self._scorers.turn(author):
            again = self._known(candidate, author)  # another author may have run it meanwhile
            return again if again is not None else self._run(Author(author, candidate, parent))

    def _known(self, candidate: Candidate, author: str) -> PracticeResult | None:
        """The candidate's result if the run has one. Raises UsageError if the author may not make a new experiment."""
        with self._lock:
            self._refuse_closed()
            own = self.practice.of(author)
            if why := self.stopped:
                raise UsageError(f"no experiments left: {why}")
            if not self.free(author):
                whose = (
                    f"author {author} has made {len(own)}"
                    if self.left
                    else f"this run has made {len(self.practice.judged)}"
                )
                raise UsageError(f"no experiments left: {whose}, the most that it may")
            if (again := self.practice.known(candidate.id)) is not None:
                return again
            if (used := sum(j.seconds for j in own)) >= self.quota.seconds:
                raise UsageError(
                    f"no time left: the experiments of author {author} have taken {used:.0f} s of scorers, of at most "
                    f"{self.quota.seconds:.0f} s"
                )
            return None

    def _run(self, author: Author) -> PracticeResult:
        candidate, number, draws = author.candidate, len(self.practice.judged), len(self.opening.floors)
        space, rows = several([candidate.params])
        names = self._executor.load(candidate.tree, space)
        cuts = [
            tuple(c.tolist()) for c in np.array_split(np.arange(draws), 1 if self._single_child else min(CUTS, draws))
        ]
        works = [Work(i, Block(*names, rows, cut, number), "dev", detail=True) for i, cut in enumerate(cuts)]
        parts = sorted(base.run(self._executor, works), key=lambda d: d.id)
        own = number == 0  # the starter is a point of the run's space
        block = joined(number, draws, parts, self.opening, None if own else author)
        with self._lock:
            self._ledger.append(block)
            judged = self.practice.add(block)
            self._barrier()
            return judged

    def _barrier(self) -> None:
        """Records the progress of the run: one generation per experiment."""
        done = self.practice.judged[: self._generations + 1]
        ok = [j for j in done if j.outcome is Outcome.OK]
        best = min(ok, key=lambda j: (-j.value, j.experiment)) if ok else None
        generation = Generation(
            self._generations,
            len(done),
            round(self.elapsed, 3),
            best.value if best else None,
            best.experiment if best else None,
            0,
            0,
        )
        self._ledger.append(generation)
        self._generations += 1

    # ------------------------------------------------------------ the gate

    def attempts(self, author: str) -> int:
        """How many candidates the author has sent to the gate, its own or other authors'."""
        with self._lock:
            return sum(a.author == author for a in self.asked.values())

    def attempt(self, name: str, author: str) -> Answer | None:
        """Sends a candidate and waits for the answer; returns and raises what the future of `send` does."""
        return self.send(name, author).result()

    def send(self, name: str, author: str) -> Future[Answer | None]:
        """Sends a candidate of the run to the gate; the same candidate gets the same answer.

        None, which authors see as NOT YET: it was not sent, because its dev scores changed in isolation or because of a
        certain incident. Raises UsageError, here or from the future, for a candidate that failed on dev or is too slow,
        and for an author that has no attempt left, too few new experiments, or an attempt that still waits.
        """
        with self._lock:
            judged = self.practice.find(name)
            if judged.id in self._sent:
                return self._sent[judged.id]
            future: Future[Answer | None] = Future()
            if judged.id in self.asked and (judged.id in self.answers or not self.asked[judged.id].clean):
                future.set_result(self.answers.get(judged.id))  # repeated answers come at once and never say why
                return future
            self._refuse_closed()
            self._may_ask(judged, author)
            future.author = author  # type: ignore[attr-defined]
            self._sent[judged.id] = future
        threading.Thread(target=self._sending, args=(judged, author, future), daemon=True).start()
        return future

    def waits(self, candidate: str) -> bool:
        """Whether it was sent to the gate and has no answer yet."""
        with self._lock:
            owed = candidate in self.asked and self.asked[candidate].clean and candidate not in self.answers
            return candidate in self._sent or owed

    def _sending(self, judged: PracticeResult, author: str, future: Future[Answer | None]) -> None:
        """Waits for the author's turn and makes one attempt. Every exception goes to the future."""
        try:
            with self._gate.turn(author):
                answer = self._tried(judged, author)
        except BaseException as e:  # of every kind: somebody waits for the future
            self._answered(judged.id)
            future.set_exception(e)
        else:
            self._answered(judged.id)
            future.set_result(answer)

    def _answered(self, candidate: str) -> None:
        with self._lock:
            del self._sent[candidate]

    def _tried(self, judged: PracticeResult, author: str) -> Answer | None:
        with self._scorers.turn(author):
            with self._lock:
                self._may_ask(judged, author)  # another candidate may have been promoted meanwhile
            asked = self._considered(judged, author)
        if not asked.clean:
            time.sleep(
                self._attempts.first_s(asked.base_delay_exponent)
            )  # delay as a real attempt would, so that timing does not reveal a honeypot
            return None
        try:
            return self._hear(asked)
        except WorkerDied:  # the hub died more often than it is restarted; experiments may go on
            raise UsageError(f"{_unanswered(judged.id)}; the run asks again when it is resumed") from None

    @property
    def waiting(self) -> int:
        """Number of attempts that have no answer yet."""
        with self._lock:
            return len({c for c in {*self.asked, *self._sent} if self.waits(c)})

    def close(self) -> None:
        """Refuses new work from now on; work in progress continues."""
        with self._lock:
            self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise UsageError("this session of the run is over; it takes no new work")

    def settled(self) -> None:
        """At the end of a session: waits for attempts in progress. Raises RunError if the hub died before it gave an
        answer."""
        with self._lock:
            under_way = list(self._sent.values())
        for future in under_way:
            future.exception()
        with self._scorers.turn(STARTER):  # an experiment whose author has left
            pass
        if owed := self._owed():
            raise RunError(f"{owed}; resume the run, which asks again")

    def _owed(self) -> str:
        """A message about an attempt that was sent and will get no answer in this session; empty without one."""
        with self._lock:
            settled = {*self.answers, *self._sent}
            owed = [c for c, asked in self.asked.items() if asked.clean and c not in settled]
        return _unanswered(owed[0]) if owed else ""

    def _may_ask(self, judged: PracticeResult, author: str) -> None:
        if judged.outcome is not Outcome.OK:
            raise UsageError(f"candidate {judged.id[:12]} ended as {judged.outcome} on dev; send one that runs")
        if judged.id == self.champion.id:
            raise UsageError(f"candidate {judged.id[:12]} is already the champion")
        if judged.id in self._slow:
            raise UsageError(self._slow[judged.id])
        for other, future in self._sent.items():
            if getattr(future, "author", "") == author and other != judged.id:
                raise UsageError(f"author {author} has an attempt waiting at the gate ({other[:12]}); one at a time")
        if owed := self._owed():
            raise UsageError(f"{owed}; nothing is sent before the run is resumed")
        sent = [a.run_experiments for a in self.asked.values() if a.author == author]
        if len(sent) >= self.quota.attempts:
            raise UsageError(f"author {author} has made {len(sent)} attempts, the most that it may")
        since = sum(j.author == author and j.experiment >= max(sent, default=0) for j in self.practice.judged)
        if since < self.quota.min_experiments_between:
            raise UsageError(
                f"author {author} has {since} experiments since its last attempt; "
                f"{self.quota.min_experiments_between} are required, so that what is sent is the best of several"
            )

    def _considered(self, judged: PracticeResult, author: str) -> AttemptRecord:
        """The record of the attempt. Raises TooSlow if it would block the gate for too long."""
        incidents = (QUARANTINED,) if judged.quarantined else ()
        made = len(self.practice.judged)
        sent = Practised(judged.candidate, judged.experiment, judged.value, judged.scores, incidents, author, made)
        try:
            spent = judged.seconds / self._executor.slots / 2  # halved: it ran beside other work
            self._attempts.delay(judged.id, spent, len(judged.scores), CROWD, self.quota.gate_s)
            asked = self._attempts.consider(sent, CROWD, self.quota.gate_s)
        except TooSlow as e:
            self._slow[judged.id] = str(e)
            raise
        return asked

    def _hear(self, asked: AttemptRecord) -> Answer:
        """While hidden work runs, nothing of an author's may run: an experiment, or a process in a workspace, could
        measure how the candidate loads the machine. Both continue when the answer has left, on its schedule."""
        with self._scorers.turn(asked.author), contextlib.ExitStack() as still:
            for workspace in self.workspaces:
                still.enter_context(workspace())
            self._attempts.send(asked, AUTHOR_SLOTS)
            answer = self._attempts.hear()
        if answer.promoted:
            judged = self.practice.known(asked.candidate.id)
            assert judged is not None, "only candidates with an experiment are sent"
            with self._scorers.turn(asked.author):
                self._attempts.audit(asked.candidate, judged.scores)
        return answer


def _unanswered(candidate: str) -> str:
    return f"candidate {candidate[:12]} was sent to the gate, whose hub ended without an answer"
