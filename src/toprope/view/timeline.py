"""The figure of a run that readers quote: dev, measured and sealed on one axis. One source for report and pages."""

from __future__ import annotations

import bisect
from typing import Any

from toprope import figures
from toprope.journal import page
from toprope.journal.history import RunHistory
from toprope.journal.records import Generation
from toprope.protocols import TaskSpec

UNITS = ("experiments", "minutes")  # of the axis


def climb(
    s: RunHistory, card: TaskSpec | None, unit: str = "experiments", until: Generation | None = None, **size: int
) -> str:
    """The figure as SVG. card: None where the task is not known here. unit: one of UNITS. until: the barrier up to
    which the climb is shown, on the axes of all of it, without the sealed test; None: to the end. size: width and
    height of the view box."""
    barriers = s.generations
    shown = [g for g in page.shown(barriers) if g.best is not None and (until is None or g.number <= until.number)]
    found = promotions(s, unit)
    last = barriers[-1] if barriers else None
    said = {"practice": card.practice, "hidden": card.hidden} if card is not None else {}
    whole: list[float] = []
    if until is not None:
        limit = _at(until, unit)
        whole = [*(g.best for g in barriers if g.best is not None), *(v for p in found for v in (p.lo, p.hi))]
        found = [p for p in found if p.at <= limit]
    test = s.test.champion if s.test is not None and until is None else None
    more: dict[str, Any] = {name: words for name, words in said.items() if words} | size
    return figures.climb(
        [_at(g, unit) for g in shown],
        [g.best for g in shown if g.best is not None],
        found,
        _at(last, unit) if last is not None else 0,
        card.metric.name if card is not None else "value",
        sealed=figures.Bar("sealed test", test.value, test.lo, test.hi, "sealed") if test is not None else None,
        unit=unit,
        reach=whole,
        **more,
    )


def promotions(s: RunHistory, unit: str = "experiments") -> list[figures.Promotion]:
    """The measured champions in order, each at the barrier of the generation that proposed it."""
    ends = [g.experiments for g in s.generations]
    asked = {a.candidate.id: a.experiment for a in s.asked}
    found = []
    for a in s.answers:
        if not a.promoted or a.measured is None:
            continue
        at = bisect.bisect_right(ends, asked[a.candidate])
        here: float = s.experiments
        if at < len(ends):
            here = _at(s.generations[at], unit)
        elif unit == "minutes":
            here = s.seconds / 60
        found.append(figures.Promotion(here, a.measured.value, a.measured.lo, a.measured.hi))
    return found


def _at(g: Generation, unit: str) -> float:
    return g.elapsed / 60 if unit == "minutes" else g.experiments
