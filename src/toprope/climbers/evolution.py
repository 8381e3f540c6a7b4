"""Regularised evolution: tournaments among recent experiments; the oldest are removed whatever their score.

Removal by age makes it robust to noise: a lucky score is kept only if its children confirm it.
Source: Real, Aggarwal, Huang & Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019, alg. 1.
It adds three things: crossover of whole slots (`Space.slots`), so that a working group of parameters stays together;
batches, so the tournament size is a share of the population; and avoidance of repeated proposals, because dev scores
are exact.

Each proposal uses one row of uniforms and the population frozen at the last tell, so row i of generation g is a
function of (seed, g, i, results so far): asking for 10 or twice for 5, on one worker or eight, gives the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.climbers.random import uniform_rows
from toprope.errors import UsageError
from toprope.protocols import Results
from toprope.space import Conditions, Space
from toprope.types import Codes, Floats, Outcome

JUMPS = 8  # tries to change a duplicate before it is proposed anyway
REMEMBERED = 20_000  # at least this many recent proposals are not repeated


class Evolution:
    """population: recent ok experiments that can be parents (at least two generations of them).

    tournament: share of the population in one tournament; 1 / population gives no selection. crossover: probability of
    a second parent. extra: expected number of mutations beyond the one that every child gets. starts: (m, p) known
    rows, proposed right after the default; they take part in tournaments like any other. Raises UsageError for values
    out of range.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        population: int = 100,
        tournament: float = 0.15,
        crossover: float = 0.4,
        extra: float = 0.5,
        starts: Codes | None = None,
    ) -> None:
        if population < 2 or not 0 < tournament <= 1 or not 0 <= crossover <= 1 or extra < 0:
            raise UsageError(
                f"population={population} tournament={tournament} crossover={crossover} extra={extra}; "
                "expected >= 2, in (0, 1], in [0, 1] and >= 0"
            )
        self.space, self.seed = space, seed
        self.population, self.tournament, self.crossover, self.extra = population, tournament, crossover, extra
        self._levels = space.sizes.astype(np.float64) + 1
        self._free = self._levels > 1  # dimensions that can change at all
        self._conditions = Conditions(space)
        self._ordered = np.array([d.ordered for d in space.dims], dtype=bool)
        self._groups = _groups(space)
        self._salt = np.random.default_rng(0).integers(1, 2**63, len(space.dims), dtype=np.uint64) | np.uint64(1)
        self._rows = np.empty((0, len(space.dims)), dtype=np.uint8)  # the population, oldest first
        self._values = np.empty(0)
        self._ranked = np.empty(0, dtype=np.int64)  # population indices, best first
        self._seen: list[NDArray[np.uint64]] = []  # keys of what was proposed, one array per ask
        self._generation = 0
        known = space.default()[None] if starts is None else np.concatenate([space.default()[None], starts])
        known = self._conditions.canonical(known)
        self._queue = known[np.sort(np.unique(known, axis=0, return_index=True)[1])]  # each once, in order
        self._rng = np.random.default_rng([seed, 0])

    def ask(self, n: int) -> Codes:
        p, groups = len(self._levels), int(self._groups.max(initial=-1)) + 1
        widths = np.cumsum([4, groups, p, p, p, 2 * JUMPS])
        u = self._rng.random((n, widths[-1]))
        head, swap, whether, kind, size, jumps = np.split(u, widths[:-1], axis=1)
        children = self._bred(head, swap) if len(self._rows) >= 2 else self._initial(head, kind)
        children = self._conditions.canonical(children)
        if len(self._rows) >= 2 and self._free.any():
            mutate = whether < self.extra / p
            mutate[np.arange(n), self._any(children, head[:, 3])] = True
            children = self._conditions.canonical(np.where(mutate, self._stepped(children, kind, size), children))
        first, self._queue = self._queue[:n], self._queue[n:]
        children[: len(first)] = first
        return self._distinct(children, jumps)

    def tell(self, results: Results) -> None:
        good = np.array([o == Outcome.OK for o in results.outcomes], dtype=bool) & np.isfinite(results.values)
        keep = max(self.population, 2 * len(results.rows))
        self._rows = np.concatenate([self._rows, results.rows[good]])[-keep:]
        # rounded so that the last bits of a sum, which differ between machines, have no effect
        self._values = np.concatenate([self._values, np.round(results.values[good], 6)])[-keep:]
        self._ranked = np.argsort(-self._values, kind="stable")  # equal scores: the earlier one first
        self._forget()
        self._generation += 1
        self._rng = np.random.default_rng([self.seed, self._generation])

    def state(self) -> dict[str, Any]:
        """Everything that later proposals depend on, after a tell."""
        return {
            "rows": self._rows,
            "values": self._values,
            "seen": self._seen,
            "queue": self._queue,
            "generation": self._generation,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._rows, self._values, self._queue = state["rows"], state["values"], state["queue"]
        self._ranked = np.argsort(-self._values, kind="stable")
        self._seen, self._generation = list(state["seen"]), state["generation"]
        self._rng = np.random.default_rng([self.seed, self._generation])

    def _initial(self, head: Floats, kind: Floats) -> Codes:
        """Default rows with a random share of their dimensions resampled, from few to all."""
        rows = uniform_rows(kind, self._levels)
        mixed = (kind * self._levels) % 1.0 < head[:, :1]  # the fractional part is independent of the level
        return np.where(mixed, rows, self.space.default())

    def _bred(self, head: Floats, swap: Floats) -> Codes:
        """Each child is a copy of one tournament winner, or a mix of two by slots."""
        mothers = self._rows[self._winners(head[:, 0])]
        fathers = self._rows[self._winners(head[:, 1])]
        take = (swap < 0.5)[:, self._groups] & (head[:, 2:3] < self.crossover)
        return np.where(take, fathers, mothers)

    def _any(self, rows: Codes, uniforms: Floats) -> NDArray[np.int64]:
        """(n,) for each row one of the dimensions that have an effect in it and can change."""
        can = self._conditions.active(rows) & self._free
        which = (uniforms * can.sum(axis=1)).astype(np.int64)
        return np.asarray(np.argmax(np.cumsum(can, axis=1, dtype=np.int32) > which[:, None], axis=1))

    def _winners(self, uniforms: Floats) -> NDArray[np.int64]:
        """The best of s members drawn with replacement has rank N (1 - (1 - u)^(1/s)): one uniform per tournament."""
        n = len(self._ranked)
        s = max(1.0, self.tournament * n)
        ranks = (n * (1.0 - (1.0 - uniforms) ** (1.0 / s))).astype(np.int64)
        return np.asarray(self._ranked[np.minimum(ranks, n - 1)])

    def _stepped(self, rows: Codes, kind: Floats, size: Floats) -> Codes:
        """Every level changed: ordered dimensions take a short step in 3 of 4 cases, everything else is resampled."""
        top = self._levels - 1
        step = 1.0 + np.floor(-np.log2(1.0 - size))  # 1, 2, 3 ... with probability 1/2, 1/4, 1/8 ...
        near = rows + np.where(kind < 0.375, step, -step)
        near = np.where((near < 0) | (near > top), rows - (near - rows), near)  # reflected at the ends
        near = np.clip(near, 0, top)
        other = np.floor(size * top)  # one of the other levels
        other = np.where(other >= rows, np.minimum(other + 1, top), other)
        return np.where(self._ordered & (kind < 0.75), near, other).astype(np.uint8)

    def _distinct(self, rows: Codes, jumps: Floats) -> Codes:
        """Changes rows that were already proposed by resampling one more dimension, up to JUMPS times each. Dimensions
        that have no effect in a row are at their default, so rows that differ are different candidates."""
        seen = np.unique(np.concatenate(self._seen)) if self._seen else np.empty(0, dtype=np.uint64)
        tries = np.zeros(len(rows), dtype=np.int64)
        keys = self._keys(rows)
        known = _among(keys, seen)
        while self._free.any() and len(move := np.flatnonzero((known | _earlier(keys)) & (tries < JUMPS))):
            t = tries[move]
            dims = self._any(rows[move], jumps[move, 2 * t])
            levels = self._levels[dims]
            shift = 1 + np.floor(jumps[move, 2 * t + 1] * (levels - 1))
            rows[move, dims] = ((rows[move, dims] + shift) % levels).astype(np.uint8)
            rows[move] = self._conditions.canonical(rows[move])
            keys[move] = self._keys(rows[move])
            known[move] = _among(keys[move], seen)
            tries[move] += 1
        self._seen.append(keys)
        return rows

    def _keys(self, rows: Codes) -> NDArray[np.uint64]:
        """64-bit hashes of rows; a collision only changes a proposal without need."""
        mixed = (rows.astype(np.uint64) + np.uint64(1)) * self._salt
        mixed ^= mixed >> np.uint64(29)
        return np.asarray((mixed * self._salt[::-1]).sum(axis=1, dtype=np.uint64))

    def _forget(self) -> None:
        while len(self._seen) > 1 and sum(map(len, self._seen[1:])) >= REMEMBERED:
            del self._seen[0]


def _groups(space: Space) -> NDArray[np.int64]:
    """(p,) number of the crossover group of each dimension; a dimension outside all slots is a group of its own."""
    group = np.full(len(space.dims), -1, dtype=np.int64)
    for number, slot in enumerate(space.slots):
        if (group[slot] >= 0).any():
            raise UsageError(f"slot {number} of the space shares a dimension with an earlier one; make them disjoint")
        group[slot] = number
    alone = np.flatnonzero(group < 0)
    group[alone] = len(space.slots) + np.arange(len(alone))
    return group


def _earlier(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """True where a key occurs earlier in the batch."""
    _, first = np.unique(keys, return_index=True)
    repeated = np.ones(len(keys), dtype=bool)
    repeated[first] = False
    return repeated


def _among(keys: NDArray[np.uint64], seen: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """True where a key is among the sorted `seen`."""
    if not len(seen):
        return np.zeros(len(keys), dtype=bool)
    return np.asarray(seen[np.minimum(np.searchsorted(seen, keys), len(seen) - 1)] == keys)
