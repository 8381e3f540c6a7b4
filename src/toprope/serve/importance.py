"""Which parameters move the dev value, from the experiments that a climb made anyway.

For each parameter: the share of the variance of dev values that its levels explain alone, corrected for the number of
levels (epsilon squared of a one-way analysis of variance; Kelley 1935). Beside it stands what chance gives: the 95 %
point of the same share over SHUFFLES random orders of the values. A climb does not draw its candidates evenly, and
parameters of good candidates move together, so this ranks; it does not prove a cause, and it does not see what two
parameters do only together.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.journal.blocks import Blocks
from toprope.journal.history import RunHistory
from toprope.journal.records import BlockRecord
from toprope.serve.columns import assembled, seen
from toprope.space import Space
from toprope.types import Anchors, Codes, Floats

ROWS = 12_000  # experiments that are looked at, at most about: of generations at equal distances
LEAST_SPREAD = 6  # generations at least, if there are so many
DRAWS = 16  # dev draws, at most: of each experiment those that it saw first
SHUFFLES = 40
LEAST = 40  # experiments below which nothing is said


class Share(NamedTuple):
    """share: of the variance explained, in [0, 1]. chance: what shuffled values explain in 1 of 20 orders. best: the
    level with the highest mean. levels: (level, mean dev value, experiments) of each level that was tried."""

    name: str
    share: float
    chance: float
    best: str
    levels: list[tuple[str, float, int]]


class Importance(NamedTuple):
    """shares: most important first. used: experiments. draws: how many each of them saw at least; its value is that of
    one reference plus the paired difference on its first ones."""

    shares: list[Share]
    used: int
    draws: int


def importance(s: RunHistory) -> Importance:
    """Of a sample of generations. Values are of the same number of draws each, and relative to one reference on the
    same draws, because generations begin at different ones. Experiments that did not end ok have no value."""
    o, rows, differences = s.opening, list[Codes](), list[Floats]()
    reference, draws = _reference(s), len(o.floors)
    some = max(LEAST_SPREAD, ROWS * len(s.generations) // max(1, s.experiments))
    looked = s.generations[:: -(-max(1, len(s.generations)) // some)]
    for g in looked:
        blocks = [b for b in _between(s, g.experiments - 1) if b.author is None]
        made = sum(len(b.experiments) for b in blocks if b.begins)
        if not made:
            continue
        blocks = [_thinned(b, -(-made * len(looked) // ROWS)) for b in blocks]  # one may be larger than the sample
        experiments, found, _ = assembled(blocks, draws)
        for b in (b for b in blocks if b.begins):
            here = found[np.searchsorted(experiments, b.experiments)] - reference
            here = np.roll(here, -b.first_draw, axis=1)[:, :DRAWS]
            ok = seen(here) > 0
            rows.append(b.rows[ok])
            differences.append(here[ok])
    if sum(map(len, rows)) < LEAST:
        return Importance([], sum(map(len, rows)), 0)
    every = np.concatenate(differences)
    least, gap = int(seen(every).min()), float((o.ceilings - o.floors).mean())
    own = float(Anchors(o.floors, o.ceilings).value(reference))
    values = own + every[:, :least].mean(axis=1) / gap
    return Importance(shares(o.space, np.concatenate(rows), values), len(values), least)


def _reference(s: RunHistory) -> Floats:
    """(draws,) scores of the first experiment that saw all of dev, in climbs the starter; NaN if none did."""
    first = next((g.best_experiment for g in s.generations if g.best_experiment is not None), None)
    if first is None:
        return np.full(len(s.opening.floors), np.nan)
    experiments, scores, _ = assembled(_between(s, first), len(s.opening.floors))
    found: Floats = scores[np.searchsorted(experiments, first)]
    return found


def _between(s: RunHistory, experiment: int) -> list[BlockRecord]:
    """The blocks of the generation of an experiment."""
    return list(s.blocks.around(experiment) if isinstance(s.blocks, Blocks) else s.blocks)


def _thinned(b: BlockRecord, every: int) -> BlockRecord:
    """Rows and scores of the experiments whose number is a multiple of `every`: the same ones in every rung."""
    if every == 1:
        return b
    own = b.experiments % every == 0
    rows = b.rows[own] if b.begins else b.rows
    return msgspec.structs.replace(b, experiments=b.experiments[own], rows=rows, scores=b.scores[own])


def shares(space: Space, rows: Codes, values: Floats, seed: int = 0) -> list[Share]:
    """rows: (n, p) levels. values: (n,)."""
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.permutation(values) for _ in range(SHUFFLES)])
    found = []
    for i, dim in enumerate(space.dims):
        codes = rows[:, i].astype(np.int64)
        counts = np.bincount(codes, minlength=len(dim.levels))
        if (counts > 0).sum() < 2:
            continue
        means = np.bincount(codes, values, len(dim.levels)) / np.maximum(counts, 1)
        chance = float(np.quantile([_epsilon(codes, counts, v) for v in shuffled], 0.95))
        tried = [(str(dim.levels[k]), float(means[k]), int(counts[k])) for k in np.flatnonzero(counts).tolist()]
        best = max((t for t in tried if t[2] >= 5), key=lambda t: t[1], default=tried[0])
        found.append(Share(dim.name, _epsilon(codes, counts, values), chance, best[0], tried))
    return sorted(found, key=lambda x: -x.share)


def _epsilon(codes: NDArray[np.int64], counts: NDArray[np.int64], values: Floats) -> float:
    """The share of the variance between levels, without what as many levels explain by chance; at least 0."""
    n, k = len(values), int((counts > 0).sum())
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 0 or n <= k:
        return 0.0
    sums = np.bincount(codes, values, len(counts))
    between = float((sums**2 / np.maximum(counts, 1)).sum() - values.sum() ** 2 / n)
    within = (total - between) / (n - k)
    return max(0.0, (between - (k - 1) * within) / total)
