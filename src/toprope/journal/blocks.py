"""The block records of a run, which are most of its ledger: decoded one at a time, as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from toprope.journal.records import BlockRecord, record
from toprope.journal.tally import Tally
from toprope.protocols import Entry

Source = Callable[[int, int | None], Iterator[Entry]]
"""(first, end) -> the entries of kind "block" with first <= number < end, in order; end None: up to the last one."""


def in_turn(blocks: Iterable[BlockRecord], draws: int) -> list[BlockRecord]:
    """Blocks so that each experiment's come in the order in which it saw the draws. draws: dev draws of the run."""
    return sorted(blocks, key=lambda b: (b.before(draws), int(b.experiments[0])))


class Blocks:
    """The blocks of a run in the ledger's order."""

    def __init__(self, source: Source, tally: Tally) -> None:
        self._source, self._tally = source, tally

    def __len__(self) -> int:
        return self._tally.blocks

    def __iter__(self) -> Iterator[BlockRecord]:
        return map(record, self._source(0, None))

    def __getitem__(self, i: int) -> BlockRecord:
        """The i-th block, for the few that a reader looks at."""
        return list(self)[i]

    def around(self, experiment: int) -> Iterator[BlockRecord]:
        """The blocks between the two barriers of an experiment."""
        return map(record, self._source(*self._tally.around(experiment)))


def held(entries: Sequence[Entry]) -> Source:
    """The source of entries that are in memory."""
    blocks = [e for e in entries if e.kind == "block"]

    def source(first: int, end: int | None) -> Iterator[Entry]:
        return (e for e in blocks if first <= e.seq and (end is None or e.seq < end))

    return source
