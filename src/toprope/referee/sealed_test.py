"""The sealed test: champion and baselines on the same draws, with intervals at the level of this opening.

The hub runs it once; `toprope verify` runs it again from the revealed secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from toprope.executors.local import LocalExecutor
from toprope.referee.panel import HiddenPanel, by_kind
from toprope.stats.intervals import Estimate, difference, ratio
from toprope.types import Candidate, Floats


class Examined(NamedTuple):
    """gains: the paired differences champion - baseline. per_draw: (draws,) the champion's scores above the floor, over
    the mean gap."""

    champion: Estimate
    baselines: dict[str, Estimate]
    gains: dict[str, Estimate]
    draws: int
    per_draw: Floats


def run_test(
    n: int,
    pool: LocalExecutor,
    champion: Candidate,
    baselines: dict[str, Candidate],
    opening: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Examined:
    """Scores all candidates on n draws of the test. Intervals resample kinds, then draws, at level 1 - .05/m for the
    m-th opening."""
    groups = by_kind(list(baselines.values()))
    panel = HiddenPanel(pool, "test", 0)
    panel.grouped([[champion], *groups], n, progress)
    top = panel.second_chance(champion, n)
    columns = {name: panel.second_chance(c, n) for name, c in baselines.items()}
    level = 1 - 0.05 / opening
    cells = top.groups if len(np.unique(top.groups)) > 1 else None
    values = {n: ratio(c.counted, c.floors, c.ceilings, level, cells=cells) for n, c in columns.items()}
    gains = {
        n: difference(top.counted, c.counted, c.floors, c.ceilings, level, cells=cells) for n, c in columns.items()
    }
    own = ratio(top.counted, top.floors, top.ceilings, level, cells=cells)
    return Examined(own, values, gains, len(top.scores), per_draw(top.counted, top.floors, top.ceilings))


def per_draw(scores: Floats, floors: Floats, ceilings: Floats) -> Floats:
    """(n,) contribution of each draw to the ratio of sums: their mean is the value."""
    return np.asarray((scores - floors) / (ceilings - floors).mean(), dtype=np.float64)
