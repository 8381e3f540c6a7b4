"""Reads a run directory, or entries, into a history and checks that its records are consistent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toprope.errors import RunError
from toprope.journal import checks
from toprope.journal.history import RunHistory
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import record
from toprope.journal.spec import RunSpec
from toprope.protocols import Entry

ONCE = ("ask", "open", "commit", "test")  # kinds of which a ledger holds at most one entry


def read(directory: Path) -> RunHistory:
    """The history of a run directory. Raises RunError if it holds no run, is damaged, or ended before it began."""
    return from_entries(str(directory), read_entries(directory))


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


def from_entries(path: str, entries: Iterable[Entry]) -> RunHistory:
    """path: the run directory, for messages. Raises RunError for entries that this version cannot read, that hold no
    opening, or that are inconsistent (`checks.faults`)."""
    by_kind: dict[str, list[Any]] = {}
    head = ""
    for entry in entries:
        by_kind.setdefault(entry.kind, []).append(record(entry))
        head = entry.hash
    if "open" not in by_kind:
        again = f"toprope resume {path}" if "ask" in by_kind else "toprope climb"
        raise RunError(f"run {path} ended before it began; start it again with `{again}`")
    for kind in ONCE:
        if len(by_kind.get(kind, [])) > 1:
            raise RunError(
                f"run {path}: its ledger is inconsistent: it holds two entries {kind!r}; restore it from a copy"
            )

    def one(kind: str) -> Any:
        return by_kind.get(kind, [None])[0]

    history = RunHistory(
        path=path,
        opening=one("open"),
        blocks=by_kind.get("block", []),
        generations=by_kind.get("generation", []),
        asked=by_kind.get("attempt", []),
        answers=by_kind.get("answer", []),
        committed=one("commit"),
        test=one("test"),
        audits=by_kind.get("audit", []),
        head=head,
        spec=one("ask"),
        findings=by_kind.get("finding", []),
        spent=by_kind.get("spent", []),
        replies=by_kind.get("reply", []),
        queried=by_kind.get("query", []),
        ended=by_kind.get("ended", []),
        finals=by_kind.get("finals", []),
    )
    for fault in checks.faults(history):
        raise RunError(f"run {path}: its ledger is inconsistent: {fault}; restore it from a copy")
    return history
