"""Quotas of authors, the findings that they share, and what their work has cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import msgspec

from toprope.errors import UsageError
from toprope.journal.records import Ended, Finding, Queried, Spent, record
from toprope.journal.spec import Plan
from toprope.protocols import Ledger

FINDINGS = 200  # at most, per author


class Quota(NamedTuple):
    """What one author may use. experiments: of its own. attempts: at the gate. min_experiments_between: its own
    experiments between two attempts, so that an attempt is a choice among several. seconds: of scorers, over its
    experiments. gate_s: the longest wait for the gate's first possible answer, in seconds."""

    experiments: int = 1000
    attempts: int = 8
    min_experiments_between: int = 4
    seconds: float = Plan().seconds
    gate_s: float = Plan().gate_s

    @staticmethod
    def of(plan: Plan | None) -> Quota:
        plan = plan or Plan()
        return Quota(plan.experiments, plan.attempts, plan.min_experiments_between, plan.seconds, plan.gate_s)


class Accounts:
    """Findings, bills and questions of a run's authors, each in the ledger before it counts here.

    lock: guards the lists below. refuse_closed: raises UsageError if the session accepts no new work. elapsed: returns
    the seconds of work on the run, over all sessions.
    """

    def __init__(
        self,
        ledger: Ledger,
        lock: AbstractContextManager[object],
        refuse_closed: Callable[[], None],
        elapsed: Callable[[], float],
    ) -> None:
        self._ledger, self._lock, self._refuse_closed, self._elapsed = ledger, lock, refuse_closed, elapsed
        self.findings: list[Finding] = list(map(record, ledger.read("finding")))
        self.spent: list[Spent] = list(map(record, ledger.read("spent")))
        self.queried: list[Queried] = list(map(record, ledger.read("query")))

    def note(self, finding: Finding) -> Finding:
        """Records a finding under the next number. Raises UsageError for an author that has reached FINDINGS, because
        every finding is copied into every workspace."""
        with self._lock:
            self._refuse_closed()
            if sum(f.author == finding.author for f in self.findings) >= FINDINGS:
                raise UsageError(f"author {finding.author} has shared {FINDINGS} findings, the most that it may")
            finding = msgspec.structs.replace(finding, number=len(self.findings) + 1)
            self._ledger.append(finding)
            self.findings.append(finding)
            return finding

    def query(self, queried: Queried) -> None:
        """Charges an answer of the oracle to its author."""
        with self._lock:
            self._refuse_closed()
            self._ledger.append(queried)
            self.queried.append(queried)

    def end(self, ended: Ended) -> None:
        self._ledger.append(ended)

    def pay(self, spent: Spent) -> None:
        """Does not take the lock: it is called from the event loop that all conversations share."""
        spent = msgspec.structs.replace(spent, elapsed=round(self._elapsed(), 3))
        self._ledger.append(spent)
        self.spent.append(spent)
