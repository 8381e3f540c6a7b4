"""Attempts at the gate: the steps that every candidate sent by a climber or an author goes through.

The candidate is first re-run in isolation, and the ledger holds the record of that before anything is sent. A candidate
whose scores changed in the re-run, or that has a certain incident, is not sent to the gate. The answer leaves on a
schedule that follows from the cost of the re-run. A promoted candidate is audited once. `policy.py` decides for a climb
when to send which candidate, `submissions.py` for authors.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.journal.records import AttemptRecord, Audited, record
from toprope.protocols import Ledger, Metric, Splits
from toprope.referee.client import HubClient
from toprope.referee.recorded import Answer
from toprope.referee.schedule import base_delay_exponent
from toprope.run import audit
from toprope.run.rerun import Isolated
from toprope.stats.leak import RELEASE_SLOTS
from toprope.types import Candidate, Incident

CROWD = 2.0  # factor by which hidden work takes longer while other work goes on beside it


class TooSlow(UsageError):
    """The gate's first possible answer would come later than the run allows."""


class Practised(NamedTuple):
    """A candidate with its experiment on dev. value: normalised. scores: (draws,). incidents: of the experiment, added
    to those of the re-run. author: the sender, "" in a climb. run_experiments: number in the whole run so far."""

    candidate: Candidate
    experiment: int
    value: float
    scores: NDArray[np.floating]
    incidents: tuple[Incident, ...] = ()
    author: str = ""
    run_experiments: int = 0


class Attempts:
    """All attempts and answers of a run, as the ledger holds them. `lock` guards them; it is not held while a candidate
    or the gate works."""

    def __init__(self, ledger: Ledger, hub: HubClient, isolated: Isolated, splits: Splits, metric: Metric) -> None:
        self._ledger, self._hub, self._isolated, self._splits, self._metric = ledger, hub, isolated, splits, metric
        self.lock = threading.RLock()
        self.asked: dict[str, AttemptRecord] = {r.candidate.id: r for r in map(record, ledger.read("attempt"))}
        self.answers: dict[str, Answer] = {r.candidate: r for r in map(record, ledger.read("answer"))}
        self._audited = {r.candidate for r in map(record, ledger.read("audit"))}

    def consider(self, sent: Practised, crowd: float = CROWD, most_s: float = math.inf) -> AttemptRecord:
        """Re-runs a candidate in isolation and records the attempt; returns the existing record if the candidate was
        considered before. crowd: factor by which hidden work takes longer than the re-run. Raises TooSlow, and records
        nothing, if the first release slot is later than `most_s` seconds."""
        if (past := self.asked.get(sent.candidate.id)) is not None:
            return past
        draws = len(sent.scores)
        again = self._isolated.run(sent.candidate, draws)
        exponent = self.delay(sent.candidate.id, again.seconds, draws, crowd, most_s)
        pure = self._metric.same(again.scores, sent.scores)
        incidents = [*again.incidents, *sent.incidents]
        asked = AttemptRecord(
            sent.candidate, sent.experiment, sent.value, pure, exponent, incidents, sent.author, sent.run_experiments
        )
        with self.lock:
            self._ledger.append(asked)
            self.asked[sent.candidate.id] = asked
        return asked

    def delay(self, candidate: str, seconds: float, draws: int, crowd: float, most_s: float) -> int:
        """The base delay exponent for a candidate that took `seconds` on `draws` draws. It covers candidate and
        champion on every draw of a slice. Raises TooSlow if the first release slot is later than `most_s` seconds."""
        exponent = base_delay_exponent(seconds / draws * 2 * self._splits.val_slice * crowd, self._splits.tick_s)
        if (first := self.first_s(exponent)) > most_s:
            raise TooSlow(
                f"candidate {candidate[:12]} took {seconds:.1f} s on {draws} practice draws, so the gate would answer "
                f"after {first:.0f} s at the earliest; this run allows {most_s:.0f} s; make it faster"
            )
        return exponent

    def first_s(self, exponent: int) -> float:
        """Seconds from the question to the first release slot."""
        return self._splits.tick_s * float(2**exponent)

    def send(self, asked: AttemptRecord, release_slots: int = RELEASE_SLOTS) -> None:
        """Sends to the gate, which counts the attempt. release_slots: number of moments at which the answer may
        leave."""
        self._hub.submit(asked.candidate, asked.base_delay_exponent, release_slots)

    def hear(self) -> Answer:
        """Waits for the answer to what was sent, and records it."""
        answer = self._hub.answer()
        with self.lock:
            self._ledger.append(answer)
            self.answers[answer.candidate] = answer
        return answer

    def audit(self, candidate: Candidate, scores: NDArray[np.floating]) -> None:
        """Audits a promoted candidate once: re-runs with other seeds, and a search of its files for tables. Only the
        report shows the result. scores: (draws,) of its experiment on dev."""
        if candidate.id in self._audited:
            return
        again = [self._isolated.run(candidate, len(scores), r).scores for r in range(1, audit.REPLICATES + 1)]
        found = audit.luck(scores.astype(np.float64), np.array(again, dtype=np.float64))
        self._ledger.append(Audited(candidate.id, found + audit.tables(candidate.tree.files)))
        self._audited.add(candidate.id)
