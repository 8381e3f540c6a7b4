"""Which rows a climb has seen, and with what result, so that a duplicate costs nothing.

Exact (keys are the rows themselves) and bounded: of a climb of any length it holds the last REMEMBERED proposals at
least, and twice as many at most. Which these are follows from the proposals alone, so a resumed climb remembers the
same.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.types import Codes, Floats, Outcome

REMEMBERED = 1 << 16  # proposals; a row that was forgotten and is proposed again is scored again
OUTCOMES = list(Outcome)  # in this order their numbers are kept


class Table:
    """Rows with a place each; the columns by place. values: normalised, NaN where not ok. draws: of dev, 0 before a
    result. outcomes: numbers in OUTCOMES."""

    def __init__(self) -> None:
        self.places: dict[bytes, int] = {}
        self.values: Floats = np.empty(0)
        self.draws: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.outcomes: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self.size = 0  # places given away; a duplicate within one batch wastes one

    def extend(self, n: int) -> None:
        """Makes n new places."""
        self.size += n
        if (more := self.size - len(self.values)) > 0:
            more = max(more, len(self.values))
            self.values = np.concatenate([self.values, np.full(more, np.nan)])
            self.draws = np.concatenate([self.draws, np.zeros(more, dtype=np.int32)])
            self.outcomes = np.concatenate([self.outcomes, np.zeros(more, dtype=np.uint8)])

    def state(self) -> dict[str, Any]:
        n = self.size
        keys = np.frombuffer(b"".join(self.places), np.uint8)
        places = np.fromiter(self.places.values(), np.int64, len(self.places))
        return {
            "keys": keys,
            "places": places,
            "values": self.values[:n],
            "draws": self.draws[:n],
            "outcomes": self.outcomes[:n],
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Table:
        table, places = cls(), state["places"]
        keys = state["keys"].reshape(len(places), -1) if len(places) else np.empty((0, 1), dtype=np.uint8)
        table.places = dict(zip(_keys(keys), places.tolist(), strict=True))
        table.values, table.draws = state["values"].copy(), state["draws"].copy()
        table.outcomes, table.size = state["outcomes"].copy(), len(state["values"])
        return table


class Seen:
    """Results by row, in two tables: the older one is dropped when the younger one is full."""

    def __init__(self, limit: int | None = REMEMBERED) -> None:
        """limit: proposals that are remembered at least; None: all of them."""
        self._limit = limit
        self._young, self._old = Table(), Table()

    def place(self, rows: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n, p) rows -> (n,) their places until the next call, and the numbers of the rows without a result, each at
        its first occurrence."""
        if self._limit is not None and self._young.size >= self._limit:
            self._young, self._old = Table(), self._young
        keys, n, young = _keys(rows), len(rows), self._young
        begin = young.size
        young.extend(n)
        places = np.fromiter(map(young.places.setdefault, keys, range(begin, begin + n)), np.int64, n)
        fresh = np.flatnonzero(places == np.arange(begin, begin + n))
        if self._old.places and len(fresh):
            some = map(self._old.places.get, [keys[i] for i in fresh.tolist()], repeat(-1))
            past = np.fromiter(some, np.int64, len(fresh))
            self._copy(past[past >= 0], places[fresh[past >= 0]])
            fresh = fresh[past < 0]
        return places, fresh

    def _copy(self, past: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Takes results over from the older table."""
        young, old = self._young, self._old
        young.values[places], young.draws[places] = old.values[past], old.draws[past]
        young.outcomes[places] = old.outcomes[past]

    def put(self, places: NDArray[np.int64], values: Floats | float, draws: int, outcome: Outcome) -> None:
        """The results of rows that were scored."""
        young = self._young
        young.values[places], young.draws[places] = values, draws
        young.outcomes[places] = OUTCOMES.index(outcome)

    def get(self, places: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64], list[Outcome]]:
        """(n,) values, draws and outcomes."""
        young = self._young
        found = young.outcomes[places]
        outcomes = [OUTCOMES[o] for o in found.tolist()] if found.any() else [OUTCOMES[0]] * len(found)
        return young.values[places], young.draws[places].astype(np.int64), outcomes

    def state(self) -> list[dict[str, Any]]:
        return [self._young.state(), self._old.state()]

    def restore(self, state: list[dict[str, Any]]) -> None:
        self._young, self._old = map(Table.of, state)

    def __len__(self) -> int:
        """Rows held now."""
        return len(self._young.places) + len(self._old.places)


def _keys(rows: Codes) -> list[bytes]:
    n, p = rows.shape
    if not p:
        return [b""] * n
    found: list[Any] = np.ascontiguousarray(rows).view(np.dtype((np.void, p))).ravel().tolist()
    return found
