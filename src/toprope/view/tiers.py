"""How a run's methods do one tier up, as figures for its report (`toprope transfer`)."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from toprope import figures
from toprope.journal.tiers import Transfer

COLOURS = {"promoted": "champion", "incumbent": "champion", "top": "champion", "baseline": "tuned", "starter": "tuned"}


def shown(t: Transfer) -> dict[str, Any]:
    """What the report's template needs of one comparison."""
    source, target = t.tiers
    dots = [
        figures.Dot(m["name"], m["source"]["value"], m["target"]["value"], COLOURS.get(m["kind"], "default"))
        for m in t.methods
    ]
    return {
        "source": source,
        "target": target,
        "scatter": Markup(figures.scatter(dots, f"value on {source}", f"value on {target}")),
        "pressure": Markup(_pressure(t)),
        "t": t,
    }


def _pressure(t: Transfer) -> str:
    if not t.pressure:
        return ""
    xs = [math.log10(max(p.experiments, 1)) for p in t.pressure]
    lines = []
    for name, side in zip(t.tiers, ("source", "target"), strict=True):
        found = [getattr(p, side) for p in t.pressure]
        lines.append(figures.Line(name, xs, [e.value for e in found], [e.lo for e in found], [e.hi for e in found]))
    ticks = [(n, f"{10**n:,}") for n in range(math.floor(max(xs)) + 1)]
    return figures.curves(
        figures.Chart("the best method by dev, on both tasks", "experiments", "value", lines, ticks=ticks)
    )
