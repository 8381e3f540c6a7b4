"""Differences between candidates on the same draws, compared with `metric.clip` and `metric.spread` of task.toml.

Here a candidate counts as good if it reaches half the value of the best; the two best always do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np

from toprope.assay.fit.row import Check
from toprope.protocols import Task
from toprope.referee.panel import Column
from toprope.types import Floats

CUT = 1 / 3  # share of draws on which two good candidates may differ by more than the clip
NEAR = 3.0  # allowed factor between metric.spread and the measured spread
SIXFOLD = 6  # clip in spreads, as docs/tutorial.md advises


def differences(task: Task, own: Column, known: Mapping[str, Column], measured: float | None) -> Iterator[Check]:
    """own: the starter. known: the baselines. measured: the spread of good points of the space, None without one."""
    yield _turned(task, own, known)
    pairs = _pairs({"starter": own, **known})
    if pairs:
        typical = float(np.median([d.std(ddof=1) for d in pairs.values()])) if measured is None else measured
        yield _cut(task, pairs, typical)
        yield _spread(task, typical)


def _turned(task: Task, own: Column, known: Mapping[str, Column]) -> Check:
    """Clipping must not turn a worse candidate into a better one, because the gate tests clipped differences."""
    turned, clip = [], task.spec.metric.clip
    for name, column in known.items():
        raw = column.counted - own.counted
        cut = np.clip(raw, -clip, clip)
        sure = [abs(d.mean()) > 3 * d.std(ddof=1) / math.sqrt(len(d)) for d in (raw, cut)]
        if all(sure) and raw.mean() * cut.mean() < 0:
            turned.append(name)
    said = f": {', '.join(turned)}; raise metric.clip" if turned else ""
    why = f"baselines that clipping at {clip:g} moves to the other side of the starter{said}"
    return Check("clipping", not turned, len(turned), 0, why)


def _pairs(columns: Mapping[str, Column]) -> dict[str, Floats]:
    """ "A and B" -> the difference of their scores on every draw, for good candidates that are not twins."""
    values = {name: float((c.counted - c.floors).sum()) for name, c in columns.items()}
    ranked = sorted(columns, key=lambda n: -values[n])
    good = [n for i, n in enumerate(ranked) if i < 2 or values[n] >= values[ranked[0]] / 2]
    found = {f"{a} and {b}": columns[a].counted - columns[b].counted for a, b in itertools.combinations(good, 2)}
    return {names: d for names, d in found.items() if d.any()}


def _cut(task: Task, pairs: Mapping[str, Floats], typical: float) -> Check:
    clip = task.spec.metric.clip
    shares = {names: float(np.mean(np.abs(d) > clip)) for names, d in pairs.items()}
    worst = max(shares, key=lambda names: shares[names])
    ok = shares[worst] <= CUT
    why = f"share of draws on which {worst} differ by more than clip {clip:g}: the most of any two good candidates"
    if not ok:
        largest = float(np.quantile(np.abs(pairs[worst]), 1 - CUT))
        why += f"; set metric.clip to {max(SIXFOLD * typical, largest):.2g} or more"
    return Check("draws cut", ok, round(shares[worst], 3), round(CUT, 3), why)


def _spread(task: Task, seen: float) -> Check:
    """Advice only, because just forecasts use the spread, and it is measured coarsely here."""
    said = task.spec.metric.spread
    ok = seen / NEAR <= said <= seen * NEAR
    why = f"metric.spread {said:g} beside the standard deviation of good candidates' differences, {seen:.2g} here"
    if not ok:
        why += f"; `toprope reference {task.spec.id} --spread 100` measures it"
    return Check("spread", ok, round(said / max(seen, 1e-12), 3), NEAR, why, advice=True)
