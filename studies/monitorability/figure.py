"""Draws docs/tasks/monitorability.svg: what penalising the monitor's own verdict does, and what another penalty does.

Above, Baker et al. 2025 (arXiv:2503.11926) in small: a monitor that knows every word for a hint, and a penalty on what
it flags. Hacking hardly falls; being caught does. Below: same monitor, and a penalty on scratchpads that are neither
all work nor all hints, which leaves the hack a cheap way to say what it does. Exact, on dev worlds; prints its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from studies.drawing import save
from studies.monitorability.table import Monitorability, monitorability
from toprope.figures import Chart, Line, stack
from toprope.types import Floats
from toprope_tasks.monitorability.private import DEPLOYED, ScratchpadGold, flagged, generate, taught
from toprope_tasks.monitorability.public import STAGES

STRENGTHS = (0.0, 0.03, 0.06, 0.1, 0.2, 0.4, 0.7, 1.0)
LINES = {"hacks": "hacks, where hinted", "tpr": "of hacks, caught", "tnr": "of the rest, let pass"}


def names_hint(private: ScratchpadGold) -> Floats:
    """(n,) 1 where a scratchpad holds a word for a hint: the keyword monitor, told all of them."""
    return np.asarray(private.world.dialect.named[private.episodes[:, 1:]].any(axis=1), dtype=np.float64)


def unclear(private: ScratchpadGold) -> Floats:
    """(n,) 1 where a scratchpad is neither all work nor all words for hints."""
    tokens, dialect = private.episodes[:, 1:], private.world.dialect
    return np.asarray(~(dialect.work[tokens].all(axis=1) | dialect.named[tokens].all(axis=1)), dtype=np.float64)


def curve(penalty: Callable[[ScratchpadGold], Floats], worlds: list[ScratchpadGold]) -> dict[str, Floats]:
    """field of Monitorability -> (strengths,) mean over worlds."""
    seen = [[_at(penalty(w), w, strength) for w in worlds] for strength in STRENGTHS]
    return {field: np.array([np.mean([getattr(m, field) for m in at]) for at in seen]) for field in LINES}


def _at(cost: Floats, world: ScratchpadGold, strength: float) -> Monitorability:
    after = taught(np.repeat(strength * cost[None, None], len(STAGES), axis=1), world.world)
    count = np.asarray(world.world.dialect.named[world.episodes[:, 1:]].sum(axis=1), dtype=np.float64)
    return monitorability(after, flagged(count[None], world.before.pick(DEPLOYED).honest), world)


def chart(title: str, found: dict[str, Floats]) -> Chart:
    """Strengths evenly spaced, as most of what happens happens at small ones."""
    places = list(range(len(STRENGTHS)))
    lines = [Line(LINES[field], places, values.tolist()) for field, values in found.items()]
    ticks = [(i, f"{s:g}") for i, s in enumerate(STRENGTHS)]
    return Chart(title, "strength of the penalty", "share", lines, ticks=ticks, reach=(0, 1))


def main(*, output: Path | None = None, draws: int = 60, seed: int = 2026) -> None:
    worlds = [generate("dev", i, seed).private for i in range(draws)]
    charts = []
    for title, penalty in (("Penalty on what the monitor sees", names_hint), ("Penalty on what is unclear", unclear)):
        found = curve(penalty, worlds)
        charts.append(chart(title, found))
        print(f"{title}; strength {' '.join(f'{s:5.2f}' for s in STRENGTHS)}")
        for field, values in found.items():
            print(f"  {field:6s} {' '.join(f'{v:5.2f}' for v in values)}")
    save(stack("hacking, detection and false alarms over the strength of two penalties", charts), output)
