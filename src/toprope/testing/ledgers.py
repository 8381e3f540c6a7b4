"""The contract of a ledger as a test class, for our ledger and those of other packages.

    class TestMine(LedgerContract):
        def make_ledger(self, folder):
            return MyLedger(folder)

        def reopen(self, ledger):
            ...

pytest collects the inherited tests. This module does not import pytest.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from toprope import wire
from toprope.journal.ledger import GENESIS, SqliteLedger, entry_hash
from toprope.journal.records import Audited, Committed, record
from toprope.protocols import Ledger

RECORDS: tuple[msgspec.Struct, ...] = (Committed("a"), Audited("a", []), Committed("b"), Audited("b", []))
KINDS = ("commit", "audit", "commit", "audit")


class LedgerContract:
    """Inherit from it and define `make_ledger` and `reopen`."""

    def make_ledger(self, folder: Path) -> Ledger:
        """A new ledger in an empty folder, open for writing."""
        raise NotImplementedError

    def reopen(self, ledger: Ledger) -> Ledger:
        """Closes the ledger and opens it again from what it has stored. The default is for `SqliteLedger`."""
        assert isinstance(ledger, SqliteLedger), "define `reopen`"
        ledger.close()
        return SqliteLedger(ledger.path)

    def test_records_come_back_in_order(self) -> None:
        """Records come back byte for byte, numbered from 0, under the kind of their type."""
        with TemporaryDirectory() as folder:
            ledger = self.make_ledger(Path(folder))
            appended = [ledger.append(r) for r in RECORDS]
            found = list(ledger.read())
            assert found == appended
            assert [(e.seq, e.kind, e.body) for e in found] == [
                (i, kind, wire.encode(r)) for i, (kind, r) in enumerate(zip(KINDS, RECORDS, strict=True))
            ]
            assert [record(e) for e in found] == list(RECORDS)

    def test_a_reader_may_ask_for_a_part(self) -> None:
        """A reader may ask for entries of one kind, from a number on, or both; the result may be empty."""
        with TemporaryDirectory() as folder:
            ledger = self.make_ledger(Path(folder))
            for r in RECORDS:
                ledger.append(r)
            assert [e.seq for e in ledger.read("audit")] == [1, 3]
            assert [e.seq for e in ledger.read(since=2)] == [2, 3]
            assert [e.seq for e in ledger.read("audit", 2)] == [3]
            assert list(ledger.read("finding")) == list(ledger.read(since=4)) == []

    def test_entries_are_chained(self) -> None:
        """Each hash covers the previous hash, the number, the kind and the body; the head is the last one."""
        with TemporaryDirectory() as folder:
            ledger, head = self.make_ledger(Path(folder)), GENESIS
            assert ledger.head == head
            for r in RECORDS:
                entry = ledger.append(r)
                head = entry_hash(head, entry.seq, entry.kind, entry.body)
                assert entry.hash == ledger.head == head

    def test_what_is_appended_outlives_the_writer(self) -> None:
        """A ledger that is opened again holds the same entries and continues after the last one."""
        with TemporaryDirectory() as folder:
            ledger = self.make_ledger(Path(folder))
            for r in RECORDS[:3]:
                ledger.append(r)
            before, head = list(ledger.read()), ledger.head
            again = self.reopen(ledger)
            assert (list(again.read()), again.head) == (before, head)
            assert again.append(RECORDS[3]).seq == 3
            assert [record(e) for e in again.read()] == list(RECORDS)
