"""Accounts of authors: the ledger holds each entry before it counts, and a later session counts the same."""

import threading

import pytest

from toprope.errors import UsageError
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Ended, Finding, Queried, Spent, record
from toprope.journal.spec import Plan
from toprope.run.accounts import FINDINGS, Accounts, Quota


class Desk:
    """Accounts on a ledger of their own. closed: whether the session takes no more work."""

    def __init__(self, ledger):
        self.ledger, self.lock, self.closed, self.seconds = ledger, threading.Lock(), False, 12.3456
        self.accounts = Accounts(ledger, self.lock, self._refuse, lambda: self.seconds)

    def _refuse(self):
        assert self.lock.locked()
        if self.closed:
            raise UsageError("the session is over")

    def kinds(self):
        return [entry.kind for entry in self.ledger.read()]


@pytest.fixture
def desk(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    yield Desk(ledger)
    ledger.close()


def finding(author="ada", number=0):
    return Finding(number, author, "insight", "words")


def test_findings_are_numbered_over_all_authors(desk):
    """Whatever number they came with, and a later session goes on counting."""
    assert [desk.accounts.note(finding(a, 99)).number for a in ("ada", "bob", "ada")] == [1, 2, 3]
    later = Desk(desk.ledger).accounts
    assert later.findings == desk.accounts.findings == [record(e) for e in desk.ledger.read("finding")]
    assert later.note(finding("bob")).number == 4


def test_findings_of_an_author_have_an_end(desk):
    """Each lies in every room and in the ledger for ever; the count is the ledger's, over sessions."""
    for _ in range(FINDINGS):
        desk.accounts.note(finding())
    later = Desk(desk.ledger).accounts
    with pytest.raises(UsageError, match=f"author ada has shared {FINDINGS} findings"):
        later.note(finding())
    assert later.note(finding("bob")).number == FINDINGS + 1
    assert len(desk.kinds()) == FINDINGS + 1


@pytest.mark.parametrize("entry", ["note", "query"])
def test_a_session_that_is_over_takes_nothing(desk, entry):
    """Neither the ledger nor the lists change."""
    desk.closed = True
    with pytest.raises(UsageError, match="the session is over"):
        getattr(desk.accounts, entry)(finding() if entry == "note" else Queried("ada", 1, 0.5))
    assert (desk.kinds(), desk.accounts.findings, desk.accounts.queried) == ([], [], [])


def test_a_bill_is_written_beside_an_experiment(desk):
    """Paying takes no lock, and the bill has the time of the run and no other."""
    with desk.lock:
        desk.accounts.pay(Spent("ada", 120, 0.5, "ada-1", 999.0))
        desk.accounts.end(Ended("ada", "done"))
    assert desk.accounts.spent == Desk(desk.ledger).accounts.spent == [Spent("ada", 120, 0.5, "ada-1", 12.346)]
    assert desk.kinds() == ["spent", "ended"]


def test_a_quota_is_the_plans():
    """A plan that was recorded without a field, and a run without one, have the defaults."""
    plan = Plan(experiments=7, attempts=2, min_experiments_between=3, seconds=9.0, gate_s=4.0)
    assert Quota.of(plan) == Quota(7, 2, 3, 9.0, 4.0)
    assert Quota.of(None) == Quota.of(Plan())
