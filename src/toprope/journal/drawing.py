"""The figure of a climb that readers quote: dev, measured and sealed on one axis. One source for the report, the pages
and notebooks."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

from toprope import figures
from toprope.journal.records import AttemptRecord, Generation
from toprope.referee.recorded import Answer
from toprope.stats.intervals import Estimate
from toprope.tasks import registry

POINTS = 2000  # barriers that a page shows


class Course(NamedTuple):
    """What the figure is made of. sealed: the champion on the sealed test, once it is open. experiments, seconds: where
    the climb is now."""

    generations: Sequence[Generation]
    asked: Sequence[AttemptRecord]
    answers: Sequence[Answer]
    sealed: Estimate | None
    experiments: int
    seconds: float


def shown(barriers: Sequence[Generation]) -> Sequence[Generation]:
    """The barriers that a page shows: all, if they are POINTS or fewer. Of more, those at which the best value changed,
    and the last one: between them the curve is flat. If these are too many, each n-th of them, and the last one."""
    if len(barriers) <= POINTS:
        return barriers
    some = [
        g for g, before in zip(barriers, [None, *barriers], strict=False) if before is None or g.best != before.best
    ]
    step = -(-len(some) // POINTS)
    return [*some[::step], barriers[-1]]


def climb(
    course: Course,
    axis: str,
    practice: str = "",
    hidden: str = "",
    unit: str = "experiments",
    until: Generation | None = None,
    **size: int,
) -> str:
    """Inline SVG. axis: what the values are called. practice, hidden: what the draws of dev and of the hidden data are
    made of; empty: said in general. unit: of the axis, "experiments" or "minutes". until: the barrier up to which the
    climb is shown, on the axes of all of it, without the sealed test; None: to the end. size: width and height of the
    view box."""
    barriers, test = course.generations, course.sealed
    points = [g for g in shown(barriers) if g.best is not None and (until is None or g.number <= until.number)]
    found = promotions(course, unit)
    whole: list[float] = []
    if until is not None:
        limit = _at(until, unit)
        whole = [*(g.best for g in barriers if g.best is not None), *(v for p in found for v in (p.lo, p.hi))]
        found = [p for p in found if p.at <= limit]
        test = None
    said = {"practice": practice, "hidden": hidden}
    more: dict[str, Any] = {name: words for name, words in said.items() if words} | size
    return figures.climb(
        [_at(g, unit) for g in points],
        [g.best for g in points if g.best is not None],
        found,
        _at(barriers[-1], unit) if barriers else 0,
        axis,
        sealed=None if test is None else figures.Bar("sealed test", test.value, test.lo, test.hi, "sealed"),
        unit=unit,
        reach=whole,
        **more,
    )


def promotions(course: Course, unit: str = "experiments") -> list[figures.Promotion]:
    """The measured champions in order, each at the barrier of the generation that proposed it."""
    ends = [g.experiments for g in course.generations]
    asked = {a.candidate.id: a.experiment for a in course.asked}
    found = []
    for a in course.answers:
        if not a.promoted or a.measured is None:
            continue
        at = bisect.bisect_right(ends, asked[a.candidate])
        here: float = course.experiments
        if at < len(ends):
            here = _at(course.generations[at], unit)
        elif unit == "minutes":
            here = course.seconds / 60
        found.append(figures.Promotion(here, a.measured.value, a.measured.lo, a.measured.hi))
    return found


def _at(g: Generation, unit: str) -> float:
    return g.elapsed / 60 if unit == "minutes" else g.experiments


def metric(task: str) -> str:
    """The name of a task's metric, read without running the task's code; "value" for a task that is not known here."""
    return next((card.metric for card in registry.available() if card.id == task), "value")
