"""The figure of a climb, from its records: for the report and for notebooks."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from toprope import figures
from toprope.journal.records import AttemptRecord, Generation
from toprope.referee.recorded import Answer
from toprope.tasks import registry

POINTS = 2000  # barriers that a page shows


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
    generations: Sequence[Generation],
    asked: Sequence[AttemptRecord],
    answers: Sequence[Answer],
    axis: str,
    practice: str = "",
    hidden: str = "",
) -> str:
    """Inline SVG. axis: what the values are called. practice, hidden: what the draws of dev and of the hidden data are
    made of; empty: said in general."""
    points = [(g.experiments, g.best) for g in shown(generations) if g.best is not None]
    barriers = [g.experiments for g in generations]
    end = barriers[-1] if barriers else 0
    asked_at = {
        a.candidate.id: barriers[at] if (at := bisect.bisect_right(barriers, a.experiment)) < len(barriers) else end
        for a in asked
    }
    promotions = [
        figures.Promotion(asked_at[a.candidate], a.measured.value, a.measured.lo, a.measured.hi)
        for a in answers
        if a.promoted and a.measured is not None
    ]
    said = {"practice": practice, "hidden": hidden}
    return figures.climb(
        [p[0] for p in points],
        [p[1] for p in points],
        promotions,
        end,
        axis,
        **{name: words for name, words in said.items() if words},
    )


def metric(task: str) -> str:
    """The name of a task's metric, read without running the task's code; "value" for a task that is not known here."""
    return next((card.metric for card in registry.available() if card.id == task), "value")
