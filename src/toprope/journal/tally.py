"""What the blocks and barriers of a run say together, taken up entry by entry and without keeping a block.

A run of 10^6 experiments holds as much here as one of 10^3: counts, what did not end ok since the last barrier, the
incidents, and one short record per barrier.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import msgspec

from toprope.journal.records import BlockRecord, Generation
from toprope.types import Incident


class Tally(msgspec.Struct):
    """blocks, authored: number of blocks, and of those of authors. cpu_s: of all blocks. generations, at: the barriers
    and the numbers of their entries. failed: outcome -> experiments up to the last barrier that did not end ok. ending:
    the same since then, by experiment. names: of the blocks since the last barrier. seen: (experiment, kind) ->
    incident, one for each pair."""

    blocks: int = 0
    authored: int = 0
    cpu_s: float = 0.0
    generations: list[Generation] = []
    at: list[int] = []
    failed: dict[str, int] = {}
    ending: dict[int, str] = {}
    names: set[str] = set()
    seen: dict[tuple[int, str], Incident] = {}

    def add(self, seq: int, record: msgspec.Struct) -> None:
        """Takes up entry number seq; records other than blocks and barriers change nothing."""
        if isinstance(record, BlockRecord):
            self._block(record)
        elif isinstance(record, Generation):
            self.generations.append(record)
            self.at.append(seq)
            for outcome in self.ending.values():
                self.failed[outcome] = self.failed.get(outcome, 0) + 1
            self.ending.clear()
            self.names.clear()

    def _block(self, block: BlockRecord) -> None:
        self.blocks += 1
        self.authored += block.author is not None
        self.cpu_s += block.cpu_s
        self.names.add(block.id)
        for i, outcome in block.outcomes.items():  # an experiment may fail in several blocks; it counts once
            self.ending.setdefault(int(block.experiments[i]), outcome)
        for i, seen in block.incidents.items():
            for incident in seen:
                merge(self.seen, int(block.experiments[i]), incident)

    def odd(self, block: BlockRecord) -> str:
        """What is wrong with a block that comes next; empty if nothing is."""
        if block.id in self.names:
            return f"block {block.id!r} occurs twice"
        if self.generations and len(block.experiments) and block.experiments[0] < self.generations[-1].experiments:
            return f"block {block.id[:80]!r} comes after the barrier of its experiments"
        return ""

    def failures(self) -> dict[str, int]:
        """Outcome -> number of experiments, for those that did not end ok."""
        counts = dict(self.failed)
        for outcome in self.ending.values():
            counts[outcome] = counts.get(outcome, 0) + 1
        return dict(sorted(counts.items()))

    def around(self, experiment: int) -> tuple[int, int | None]:
        """Entries (first, end) between which the blocks of an experiment lie; end None: up to the last one."""
        g = bisect.bisect_right(self.generations, experiment, key=lambda g: g.experiments)
        return (self.at[g - 1] if g else 0), (self.at[g] if g < len(self.at) else None)


def merge(found: dict[tuple[int, str], Incident], experiment: int, incident: Incident) -> None:
    """Keeps one incident per experiment and kind: the first, unless a later one proves what it suspected."""
    past = found.get((experiment, incident.kind))
    if past is None or past.severity == "advisory":
        found[experiment, incident.kind] = incident


def of(blocks: Iterable[BlockRecord], generations: Iterable[Generation] = ()) -> Tally:
    """The tally of records that are held in memory."""
    tally = Tally()
    for seq, block in enumerate(blocks):
        tally.add(seq, block)
    tally.generations = list(generations)
    return tally
