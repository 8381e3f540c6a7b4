"""Reads a run directory, or entries, into a history and checks that its records are consistent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toprope.errors import RunError
from toprope.journal import checkpoint, checks
from toprope.journal.blocks import Blocks, Source, held
from toprope.journal.history import RunHistory
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import BlockRecord, Generation, record
from toprope.journal.spec import RunSpec
from toprope.journal.tally import Tally
from toprope.protocols import Entry

ONCE = ("ask", "open", "commit", "test")  # kinds of which a ledger holds at most one entry


def read(directory: Path) -> RunHistory:
    """The history of a run directory. Raises RunError if it holds no run, is damaged, or ended before it began."""
    path = directory / "ledger.db"
    ledger = SqliteLedger(path, readonly=True)
    try:
        if checkpoint.size(path) < checkpoint.LARGE:
            return from_entries(str(directory), list(ledger.read()))
        history, fresh = of_ledger(str(directory), ledger, _stored(path))
        if fresh and checkpoint.stamps(path) == ledger.stamps:  # else somebody writes meanwhile
            ledger.keep(history.counted)
        return history
    finally:
        ledger.close()


def of_ledger(path: str, ledger: SqliteLedger, source: Source) -> tuple[RunHistory, bool]:
    """The history of an open ledger, and whether a checkpoint would spare the next reader something. Of the entries
    that a checkpoint covers only the rare ones are read."""
    kept = ledger.kept
    begin = kept.length if kept is not None else 0
    story = Story(path, kept.tally if kept is not None else None)
    for entry in ledger.rare(begin):
        story.add(entry)
    for entry in ledger.read(since=begin):
        story.add(entry)
    return story.told(source, ledger.head), not ledger.trusted


def _stored(path: Path) -> Source:
    """The source of blocks in a file that is opened when they are asked for."""

    def source(first: int, end: int | None) -> Iterator[Entry]:
        ledger = SqliteLedger(path, readonly=True)
        try:
            last = ledger.length
            yield from ledger.between(first, last if end is None else min(end, last), "block")
        finally:
            ledger.close()

    return source


def spec_of(directory: Path) -> RunSpec | None:
    """The spec in a run's first entry; None if the ledger has no such entry. Raises RunError for a file that is not a
    ledger."""
    ledger = SqliteLedger(directory / "ledger.db", readonly=True)
    try:
        first = next(ledger.read("ask"), None)
        spec: RunSpec | None = record(first) if first is not None else None
        return spec
    finally:
        ledger.close()


def from_entries(path: str, entries: Sequence[Entry]) -> RunHistory:
    """path: the run directory, for messages. Raises RunError for entries that this version cannot read, that hold no
    opening, or that are inconsistent (`checks.faults`)."""
    story = Story(path)
    for entry in entries:
        story.add(entry)
    return story.told(held(entries), entries[-1].hash if entries else "")


class Story:
    """Takes up the entries of a run one after another and tells its history. It keeps no block."""

    def __init__(self, path: str, tally: Tally | None = None) -> None:
        """tally: of the blocks and barriers before the entries that follow, which were checked when it was made."""
        self._path, self.tally = path, tally or Tally()
        self._by_kind: dict[str, list[Any]] = {}

    def add(self, entry: Entry) -> None:
        """Raises RunError for an entry that cannot be read, and for a block that is inconsistent with the opening."""
        found = record(entry)
        if isinstance(found, BlockRecord):
            if "open" not in self._by_kind:
                self._refuse(f"block {found.id[:80]!r} comes before the opening")
            for fault in checks.block(found, self._by_kind["open"][0]):
                self._refuse(fault)
            self._refuse(self.tally.odd(found))
        elif not isinstance(found, Generation):
            self._by_kind.setdefault(entry.kind, []).append(found)
        self.tally.add(entry.seq, found)

    def _refuse(self, fault: str) -> None:
        if fault:
            raise RunError(f"run {self._path}: its ledger is inconsistent: {fault}; restore it from a copy")

    def told(self, source: Source, head: str) -> RunHistory:
        """The history. head: of the ledger. source: where its blocks are read when somebody asks for them. Raises
        RunError for entries that hold no opening or are inconsistent."""
        found, path = self._by_kind, self._path
        if "open" not in found:
            again = f"toprope resume {path}" if "ask" in found else "toprope climb"
            raise RunError(f"run {path} ended before it began; start it again with `{again}`")
        for kind in ONCE:
            if len(found.get(kind, [])) > 1:
                self._refuse(f"it holds two entries {kind!r}")

        def one(kind: str) -> Any:
            return found.get(kind, [None])[0]

        history = RunHistory(
            path=path,
            opening=one("open"),
            blocks=Blocks(source, self.tally),
            generations=self.tally.generations,
            asked=found.get("attempt", []),
            answers=found.get("answer", []),
            committed=one("commit"),
            test=one("test"),
            audits=found.get("audit", []),
            head=head,
            spec=one("ask"),
            findings=found.get("finding", []),
            notes=found.get("note", []),
            spent=found.get("spent", []),
            replies=found.get("reply", []),
            queried=found.get("query", []),
            ended=found.get("ended", []),
            tally=self.tally,
            finals=found.get("finals", []),
        )
        for fault in checks.faults(history):
            self._refuse(fault)
        return history
