"""The state of a climb at a barrier, so that a long run is gone on with from there instead of from its first entry.

It is a cache (`journal/checkpoint.py`): the same loop over the ledger's entries leads to the same state, and does so
whenever the state is missing, is of other code, or is of a climber that cannot give its state.
"""

from __future__ import annotations

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope import climbers, wire
from toprope.journal.ledger import SqliteLedger
from toprope.protocols import Climber, Resumable

EVERY_S = 30.0  # of climbing between two states; a run that is killed reads so much again
PAYS = 50_000  # experiments that are quicker read again than kept


class Kept(msgspec.Struct, frozen=True):
    """After a barrier. code: digest of what computes states. entries: that the ledger had. number: of the next
    generation. ask: proposals to ask for in it. elapsed: seconds of climbing by then. parts: name of a part of the
    loop -> its state."""

    code: str
    entries: int
    number: int
    ask: int
    elapsed: float
    parts: dict[str, Any]


class Keeping:
    """Keeps the state of a loop's parts now and then, and gives it back. start: what to begin with, or None."""

    def __init__(self, ledger: SqliteLedger, climber: Climber, parts: dict[str, Any]) -> None:
        """parts: name -> an object with `state()` and `restore(state)`. Nothing is kept for a climber without them."""
        self._ledger, self._parts, self._at = ledger, {**parts, "climber": climber}, time.monotonic()
        self._able = isinstance(climber, Resumable)
        self.start = self._found() if self._able else None
        if self.start is not None:
            for name, part in self._parts.items():
                part.restore(self.start.parts[name])

    def _found(self) -> Kept | None:
        kept = self._ledger.kept
        if kept is None or not kept.climb:
            return None
        found: Kept = wire.decode(kept.climb, Kept)
        return found if found.code == code() and found.parts.keys() == self._parts.keys() else None

    def __call__(self, number: int, ask: int, experiments: int, elapsed: float) -> None:
        """At the end of a barrier: keeps the state if the climb is over or EVERY_S have passed."""
        tally = self._ledger.tally
        due = ask <= 0 or time.monotonic() - self._at >= EVERY_S
        if not (due and self._able and tally is not None and experiments >= PAYS):
            return
        self._at = time.monotonic()
        parts = {name: part.state() for name, part in self._parts.items()}
        self._ledger.climb = wire.encode(Kept(code(), self._ledger.length, number, ask, elapsed, parts))
        self._ledger.keep(tally)


@cache
def code() -> str:
    """Digest of the modules that a state comes from, and of numpy, whose generators they use."""
    h = hashlib.sha256(np.__version__.encode())
    for folder in (Path(__file__).parent, Path(climbers.__file__).parent):
        for path in sorted(folder.glob("*.py")):
            h.update(path.read_bytes())
    return h.hexdigest()
