"""The desk: where authors (language models, agents, people) bring candidates of their own to a run.

The same run, ledger, referee and sandbox as a climb without a model. What an author gets is what a climber gets: dev
scores in full, one bit an attempt, a measurement with a PROMOTE. What an author claims counts nowhere; every figure of
a leaderboard is the ledger's. Experiments run one after the other, each on all cores: authors think longer
than candidates run. Authors who wait for the scorers, or for the gate, take turns (`turns.py`); nothing else waits for
either. Safe to call from several threads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import msgspec
import numpy as np

from toprope.errors import RunError, UsageError, WorkerDied
from toprope.journal.records import (
    Asked,
    Audited,
    Author,
    BlockRecord,
    Ended,
    Finding,
    Generation,
    Opening,
    Queried,
    Spent,
    record,
)
from toprope.journal.spec import Plan
from toprope.protocols import Ledger, TaskSpec
from toprope.referee.client import HubClient
from toprope.referee.messages import Work
from toprope.referee.pool import ScorerPool
from toprope.referee.recorded import Answer
from toprope.referee.schedule import pace
from toprope.run import audit, stopping
from toprope.run.evaluate import lone
from toprope.run.experiment import joined, size
from toprope.run.turns import Turns
from toprope.space import several
from toprope.stats.intervals import ratio
from toprope.types import Anchors, Block, Candidate, Floats, Incident, Outcome, certain

STARTER = "starter"  # the author of experiment 0
MOMENTS = 2  # ticks at which an answer may leave; until the last one, everybody waits
FINDINGS = 200  # that one author may share
CUTS = 8  # pieces of dev that an experiment is cut into, for the scorers to share


class Quota(NamedTuple):
    """What one author may ask. experiments: of its own. attempts: at the gate. apart: its own experiments between two
    attempts, so that an attempt is a choice among several. seconds: of scorers, over its experiments. gate_s: until the
    first moment at which an answer of the gate can leave."""

    experiments: int = 1000
    attempts: int = 8
    apart: int = 4
    seconds: float = Plan().seconds
    gate_s: float = Plan().gate_s

    @staticmethod
    def of(plan: Plan | None) -> Quota:
        plan = plan or Plan()
        return Quota(plan.experiments, plan.attempts, plan.apart, plan.seconds, plan.gate_s)


class Judged(NamedTuple):
    """One experiment. id: of its candidate. value: normalised, NaN if not ok. message: what went wrong, as the
    candidate's own error text says. seconds: of scorers."""

    experiment: int
    author: str
    id: str
    candidate: Candidate
    parent: str
    outcome: Outcome
    value: float
    scores: Floats
    message: str
    quarantined: bool
    seconds: float


class Desk:
    """One sitting's dealings with authors. Everything it knows it has read from the ledger, or writes there first."""

    def __init__(
        self,
        opening: Opening,
        spec: TaskSpec,
        ledger: Ledger,
        pool: ScorerPool,
        hub: HubClient,
        quota: Quota,
        whole: bool,
    ) -> None:
        """whole: experiments meet all draws in one child, for a task whose tallies need them."""
        self._whole = whole
        self.opening, self.spec, self.quota = opening, spec, quota
        self._ledger, self._pool, self._hub = ledger, pool, hub
        self._lock = threading.RLock()  # over what is known here; never held while a candidate or the gate works
        self._scorers, self._gate = Turns(), Turns()
        self._sent: dict[str, Future[Answer | None]] = {}  # candidate -> of an attempt that has no answer yet
        self.rooms: list[Callable[[], contextlib.AbstractContextManager[None]]] = []  # each makes a room stand still
        self._closed = False
        self._errors: dict[str, float] = {}
        self._slow: dict[str, str] = {}  # candidate -> why it is too slow for the gate
        self.anchors = Anchors(opening.floors, opening.ceilings)
        self.judged: list[Judged] = []
        self.asked: dict[str, Asked] = {r.candidate.id: r for r in map(record, ledger.read("attempt"))}
        self.answers: dict[str, Answer] = {r.candidate: r for r in map(record, ledger.read("answer"))}
        self.findings: list[Finding] = list(map(record, ledger.read("finding")))
        self.spent: list[Spent] = list(map(record, ledger.read("spent")))
        self.queried: list[Queried] = list(map(record, ledger.read("query")))
        self._audited = {r.candidate for r in map(record, ledger.read("audit"))}
        past = [r.elapsed for r in map(record, ledger.read("generation"))]
        self._generations, self._start = len(past), time.monotonic()
        self._before: float = max([0.0, *past, *(s.elapsed for s in self.spent)])
        self._replay()

    # ------------------------------------------------------------ what has been

    def _replay(self) -> None:
        """Everything the ledger holds, then what a killed sitting had begun: a barrier, the starter, an answer."""
        for block in map(record, self._ledger.read("block")):
            self.judged.append(self._of(block))
            if len(self.judged) > self._generations:
                self._barrier()
        if not self.judged:
            space = self.opening.space
            self._run(Author(STARTER, Candidate(self.opening.tree, space.decode(space.default()))))
        for asked in self.asked.values():
            if asked.clean and asked.candidate.id not in self.answers:
                self._hear(asked)

    @property
    def elapsed(self) -> float:
        """Seconds of work on this run, over all sittings."""
        return self._before + time.monotonic() - self._start

    @property
    def left(self) -> int:
        """Experiments that the run may still make."""
        most = self.opening.spec.experiments
        return 0 if self.stopped else max(0, 2**31 if most is None else most - len(self.judged))

    @property
    def stopped(self) -> str:
        """Why the run's user wants it to end here (`stopping.py`); empty while it goes on."""
        with self._lock:
            best, since = float("-inf"), 0
            for j in self.judged:
                if j.outcome is Outcome.OK and j.value > best:
                    best, since = j.value, j.experiment + 1
            promoted = [a for a in self.answers.values() if a.promoted]
            since = max([since, *(self.asked[a.candidate].made for a in promoted)])
            measured = promoted[-1].measured.value if promoted and promoted[-1].measured is not None else None
            return stopping.reason(self.opening.spec, len(self.judged), since, measured)

    def free(self, author: str) -> bool:
        """May the author make another experiment, as far as numbers go?"""
        with self._lock:
            return self.left > 0 and sum(j.author == author for j in self.judged) < self.quota.experiments

    @property
    def champion(self) -> Candidate:
        with self._lock:  # an answer may come while somebody looks
            promoted = [a.candidate for a in self.answers.values() if a.promoted]
            return self.asked[promoted[-1]].candidate if promoted else self.judged[0].candidate

    def error(self, judged: Judged) -> float:
        """Standard error of its value over dev draws, as everywhere; 0 for one draw, which has none."""
        if judged.id not in self._errors:
            known = len(judged.scores) > 1
            self._errors[judged.id] = ratio(judged.scores, *self.anchors).se if known else 0.0
        return self._errors[judged.id]

    def leaderboard(self) -> list[Judged]:
        """Every distinct candidate that ran on all of dev, best first; equal values: less code, then the earlier."""
        best: dict[str, Judged] = {}
        with self._lock:
            for j in self.judged:
                if j.outcome is Outcome.OK:
                    best.setdefault(j.id, j)
        return sorted(best.values(), key=lambda j: (-j.value, size(j.candidate), j.experiment))

    def find(self, name: str) -> Judged:
        """By candidate id, or the beginning of one. Raises UsageError if it names none, or several."""
        with self._lock:
            found = {j.id: j for j in self.judged if j.id.startswith(name)} if len(name) >= 6 else {}
        if len(found) != 1:
            raise UsageError(
                f"candidate {name[:80]!r} names {len(found)} of this run; give 6 characters or more of an id"
            )
        return next(iter(found.values()))

    # ------------------------------------------------------------ experiments

    def evaluate(self, candidate: Candidate, author: str, parent: str = "") -> Judged:
        """One experiment on all dev draws. Raises UsageError if the author, or the run, has none left."""
        if (again := self._known(candidate, author)) is not None:
            return again
        with self._scorers.turn(author):
            again = self._known(candidate, author)  # others have worked while this one waited
            return again if again is not None else self._run(Author(author, candidate, parent))

    def _known(self, candidate: Candidate, author: str) -> Judged | None:
        """What the run knows of the candidate already. Raises UsageError where nothing new may be made."""
        with self._lock:
            self._open()
            own = [j for j in self.judged if j.author == author]
            if why := self.stopped:
                raise UsageError(f"no experiments left: {why}")
            if not self.free(author):
                whose = f"author {author} has made {len(own)}" if self.left else f"this run has made {len(self.judged)}"
                raise UsageError(f"no experiments left: {whose}, which is all it may")
            if (again := next((j for j in self.judged if j.id == candidate.id), None)) is not None:
                return again
            if (used := sum(j.seconds for j in own)) >= self.quota.seconds:
                raise UsageError(
                    f"no time left: the experiments of author {author} have taken {used:.0f} s of scorers, and "
                    f"{self.quota.seconds:.0f} s are all it may"
                )
            return None

    def _run(self, author: Author) -> Judged:
        candidate, number, draws = author.candidate, len(self.judged), len(self.opening.floors)
        space, rows = several([candidate.params])
        names = self._pool.add(candidate.tree, space)
        cuts = [tuple(c.tolist()) for c in np.array_split(np.arange(draws), 1 if self._whole else min(CUTS, draws))]
        works = [Work(i, Block(*names, rows, cut, number), "dev", detail=True) for i, cut in enumerate(cuts)]
        parts = sorted(self._pool.run(works), key=lambda d: d.id)
        own = number == 0  # the starter is a point of the run's space
        block = joined(number, draws, parts, self.opening, None if own else author)
        with self._lock:
            self._ledger.append(block)
            self.judged.append(self._of(block))
            self._barrier()
            return self.judged[-1]

    def _of(self, block: BlockRecord) -> Judged:
        o = self.opening
        scores = block.scores[0].astype(np.float64)
        author = block.author or Author(STARTER, Candidate(o.tree, o.space.decode(block.rows[0])))
        return Judged(
            int(block.experiments[0]),
            author.name,
            author.candidate.id,
            author.candidate,
            author.parent,
            Outcome(block.outcomes.get(0, "ok")),
            float(self.anchors.value(scores)),
            scores,
            block.messages.get(0, ""),
            certain(block.incidents.get(0, [])),
            block.wall_s,
        )

    def _barrier(self) -> None:
        """One generation an experiment: the ledger's record of how far the run is."""
        done = self.judged[: self._generations + 1]
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

    # ------------------------------------------------------------ what authors say and cost

    def note(self, finding: Finding) -> Finding:
        """Raises UsageError for an author who has shared as many as it may: each lies in everybody's room."""
        with self._lock:
            self._open()
            if sum(f.author == finding.author for f in self.findings) >= FINDINGS:
                raise UsageError(f"author {finding.author} has shared {FINDINGS} findings, which is all it may")
            finding = msgspec.structs.replace(finding, number=len(self.findings) + 1)
            self._ledger.append(finding)
            self.findings.append(finding)
            return finding

    def query(self, queried: Queried) -> None:
        """What an answer of the oracle took, on its author's account."""
        with self._lock:
            self._open()
            self._ledger.append(queried)
            self.queried.append(queried)

    def end(self, ended: Ended) -> None:
        self._ledger.append(ended)

    def pay(self, spent: Spent) -> None:
        """Waits for no experiment: who pays is the loop that all conversations share."""
        spent = msgspec.structs.replace(spent, elapsed=round(self.elapsed, 3))
        self._ledger.append(spent)
        self.spent.append(spent)

    # ------------------------------------------------------------ the gate

    def attempts(self, author: str) -> int:
        """How many candidates the author sent to the gate, its own or another's."""
        with self._lock:
            return sum(a.author == author for a in self.asked.values())

    def attempt(self, name: str, author: str) -> Answer | None:
        """Sends a candidate and waits for the answer, as `send` tells it."""
        return self.send(name, author).result()

    def send(self, name: str, author: str) -> Future[Answer | None]:
        """Sends a candidate of the run to the gate; the same candidate gets the same answer.

        None, told as a NOT YET: it was not sent, because its dev scores changed when it ran alone, or for what was seen
        of it. Raises UsageError, here or with the answer, for a candidate that did not run well or is too slow, or an
        author with no attempt left, too few new experiments, or an attempt that still waits.
        """
        with self._lock:
            judged = self.find(name)
            if judged.id in self._sent:
                return self._sent[judged.id]
            future: Future[Answer | None] = Future()
            if judged.id in self.asked and (judged.id in self.answers or not self.asked[judged.id].clean):
                future.set_result(self.answers.get(judged.id))  # at once, and without a reason
                return future
            self._open()
            self._may_ask(judged, author)
            future.author = author  # type: ignore[attr-defined]
            self._sent[judged.id] = future
        threading.Thread(target=self._sending, args=(judged, author, future), daemon=True).start()
        return future

    def waits(self, candidate: str) -> bool:
        """Has it been sent to the gate, and not been answered?"""
        with self._lock:
            owed = candidate in self.asked and self.asked[candidate].clean and candidate not in self.answers
            return candidate in self._sent or owed

    def _sending(self, judged: Judged, author: str, future: Future[Answer | None]) -> None:
        """One attempt from the end of the queue to its answer. All it raises is the future's."""
        try:
            with self._gate.turn(author):
                answer = self._tried(judged, author)
        except BaseException as e:  # of whatever kind: somebody waits
            self._answered(judged.id)
            future.set_exception(e)
        else:
            self._answered(judged.id)
            future.set_result(answer)

    def _answered(self, candidate: str) -> None:
        with self._lock:
            del self._sent[candidate]

    def _tried(self, judged: Judged, author: str) -> Answer | None:
        with self._scorers.turn(author):
            with self._lock:
                self._may_ask(judged, author)  # others have been promoted while this one waited
            asked, waits = self._considered(judged, author)
        if not asked.clean:
            time.sleep(waits)  # what a trap saw is not told by an answer that comes at once
            return None
        try:
            return self._hear(asked)
        except WorkerDied:  # more often than a hub is started again; experiments may go on
            raise UsageError(f"{_unanswered(judged.id)}; the run asks again when it is resumed") from None

    @property
    def waiting(self) -> int:
        """Attempts that have no answer."""
        with self._lock:
            return len({c for c in {*self.asked, *self._sent} if self.waits(c)})

    def close(self) -> None:
        """Nothing new is begun from now on; what is under way goes on."""
        with self._lock:
            self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise UsageError("this sitting of the run is over; nothing new is begun")

    def settled(self) -> None:
        """At the end of a sitting: waits for the attempts that are under way. Raises RunError if the gate owes an
        answer that no hub lived to give."""
        with self._lock:
            under_way = list(self._sent.values())
        for future in under_way:
            future.exception()
        with self._scorers.turn(STARTER):  # an experiment whose author has left
            pass
        if owed := self._owed():
            raise RunError(f"{owed}; resume the run, which asks again")

    def _owed(self) -> str:
        """Of an attempt whose answer nobody waits for any more; empty if there is none."""
        with self._lock:
            settled = {*self.answers, *self._sent}
            owed = [c for c, asked in self.asked.items() if asked.clean and c not in settled]
        return _unanswered(owed[0]) if owed else ""

    def _may_ask(self, judged: Judged, author: str) -> None:
        if judged.outcome is not Outcome.OK:
            raise UsageError(f"candidate {judged.id[:12]} ended as {judged.outcome} on dev; only one that runs is sent")
        if judged.id == self.champion.id:
            raise UsageError(f"candidate {judged.id[:12]} is the champion already")
        if judged.id in self._slow:
            raise UsageError(self._slow[judged.id])
        for other, future in self._sent.items():
            if getattr(future, "author", "") == author and other != judged.id:
                raise UsageError(f"author {author} has an attempt waiting at the gate ({other[:12]}); one at a time")
        if owed := self._owed():
            raise UsageError(f"{owed}; nothing is sent before the run is resumed")
        sent = [a.made for a in self.asked.values() if a.author == author]
        if len(sent) >= self.quota.attempts:
            raise UsageError(f"author {author} has made {len(sent)} attempts, which is all it may")
        since = sum(j.author == author and j.experiment >= max(sent, default=0) for j in self.judged)
        if since < self.quota.apart:
            raise UsageError(
                f"author {author} has {since} experiments since its last attempt; {self.quota.apart} are asked for, "
                "so that what is sent is the best of several"
            )

    def _considered(self, judged: Judged, author: str) -> tuple[Asked, float]:
        """The lone re-run, recorded; and the seconds until the first tick of its schedule."""
        draws = len(judged.scores)
        self._fast_enough(judged, judged.seconds / len(self._pool.pids) / 2)  # practice beside others may take longer
        space, rows = several([judged.candidate.params])
        names = self._pool.add(judged.candidate.tree, space)
        scores, incidents, seconds = lone(self._pool, names, rows[0], draws, 0, self._whole)
        tick = self._fast_enough(judged, seconds)
        pure = bool(np.allclose(scores, judged.scores, atol=1e-6))
        if judged.quarantined:
            incidents = [*incidents, Incident("quarantine", "certain", "a certain incident in its dev experiment")]
        with self._lock:
            made = len(self.judged)
            asked = Asked(judged.candidate, judged.experiment, judged.value, pure, tick, incidents, author, made)
            self._ledger.append(asked)
            self.asked[judged.id] = asked
        return asked, self.spec.splits.tick_s * 2**tick

    def _fast_enough(self, judged: Judged, seconds: float) -> int:
        """The pace of its schedule. seconds: what all dev draws took. Raises UsageError where one attempt would keep
        the gate from everybody for too long."""
        splits, draws = self.spec.splits, len(judged.scores)
        tick = pace(seconds / draws * 2 * splits.val_slice * 2, splits.tick_s)  # a machine may be busier then
        if (first := splits.tick_s * 2**tick) > self.quota.gate_s:
            self._slow[judged.id] = (
                f"candidate {judged.id[:12]} took {seconds:.1f} s on {draws} practice draws, so the gate would answer "
                f"after {first:.0f} s at the earliest, and {self.quota.gate_s:.0f} s are all that this run allows; "
                "make it faster"
            )
            raise UsageError(self._slow[judged.id])
        return tick

    def _hear(self, asked: Asked) -> Answer:
        """While hidden work runs, nothing of an author's does: no experiment, and no process in a room, could otherwise
        help hearing what the candidate does with the machine. It goes on when the answer has left, on its schedule."""
        with self._scorers.turn(asked.author), contextlib.ExitStack() as still:
            for room in self.rooms:
                still.enter_context(room())
            self._hub.submit(asked.candidate, asked.pace, MOMENTS)
            answer = self._hub.answer()
        with self._lock:
            self._ledger.append(answer)
            self.answers[answer.candidate] = answer
        if answer.promoted:
            with self._scorers.turn(asked.author):
                self._audit(asked)
        return answer

    def _audit(self, asked: Asked) -> None:
        """As for every promotion: other seeds, and a look at the files."""
        candidate = asked.candidate
        if candidate.id in self._audited:
            return
        space, rows = several([candidate.params])
        names = self._pool.add(candidate.tree, space)
        scores = next(j.scores for j in self.judged if j.id == candidate.id)
        others = [
            lone(self._pool, names, rows[0], len(scores), r, self._whole)[0] for r in range(1, audit.REPLICATES + 1)
        ]
        found = audit.luck(scores, np.array(others, dtype=np.float64))
        self._ledger.append(Audited(candidate.id, found + audit.tables(candidate.tree.files)))


def _unanswered(candidate: str) -> str:
    return f"candidate {candidate[:12]} was sent to the gate, whose hub ended without an answer"
