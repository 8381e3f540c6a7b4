"""Null answers: a candidate that ignores the draw must stay at the floor."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from toprope.assay.fit.draws import ROOM, draw_of
from toprope.assay.fit.row import Check
from toprope.protocols import Dialogue, Outputs, Task
from toprope.types import Array, Draw, Floats

FLOOR = 0.10  # value above which a null answer or a probe has found a shortcut

FILLS: dict[str, Callable[[Array, tuple[int, ...], np.random.Generator], Floats]] = {
    "lowest": lambda a, shape, rng: np.full(shape, -1.0 if a.low is None else a.low),
    "middle": lambda a, shape, rng: np.full(shape, np.mean([a.low or 0.0, 1.0 if a.high is None else a.high])),
    "highest": lambda a, shape, rng: np.full(shape, 1.0 if a.high is None else a.high),
    "random": lambda a, shape, rng: rng.uniform(a.low or 0.0, 1.0 if a.high is None else a.high, shape),
    "in order": lambda a, shape, rng: np.broadcast_to(np.linspace(a.low or 0.0, a.high or 1.0, shape[-1]), shape),
}


def null_answers(task: Task) -> Check:
    """The best of five null answers, over every minimal set of entry points."""
    worst, name = -math.inf, ""
    draws = [draw_of(task, "measure", i, "null answers") for i in range(ROOM)]
    if not (spoken := ways(task, draws[0])):
        return Check("null answers", False, 0, FLOOR, "dialogue() accepts no set of the task's entries")
    for entries in spoken:
        for fill in FILLS:
            scores = np.array([null_score(task, d, entries, fill, i) for i, d in enumerate(draws)])
            value = _value(scores, draws)
            if value > worst:
                worst, name = value, f"{fill}, by {', '.join(sorted(entries))}"
    why = f"the best is {name!r}; a candidate that ignores the draw must stay at the floor"
    return Check("null answers", worst <= FLOOR, round(worst, 3), FLOOR, why)


def ways(task: Task, draw: Draw) -> list[frozenset[str]]:
    """The minimal sets of entry points that the task accepts."""
    names, found = task.spec.entries, list[frozenset[str]]()
    for mask in sorted(range(1, 2 ** len(names)), key=lambda m: m.bit_count()):
        entries = frozenset(n for i, n in enumerate(names) if mask >> i & 1)
        if any(have <= entries for have in found):
            continue
        try:
            task.dialogue(draw, entries).close()
        except ValueError:
            continue
        found.append(entries)
    return found


def null_score(task: Task, draw: Draw, entries: frozenset[str], fill: str, seed: int) -> float:
    """The score of one null answer to one draw. fill: a key of FILLS."""
    return float(task.score(_answered(task.dialogue(draw, entries), fill, seed), draw)[0])


def _answered(dialogue: Dialogue, fill: str, seed: int) -> Outputs:
    rng = np.random.default_rng(seed)
    question = next(dialogue)
    while True:
        answers = {
            a.name: np.asarray(FILLS[fill](a, (1, *a.shape), rng), dtype=a.dtype)
            for call in question.calls
            for a in call.returns
        }
        try:
            question = dialogue.send(answers)
        except StopIteration as end:
            return dict(end.value)


def _value(scores: Floats, draws: list[Draw]) -> float:
    floors, ceilings = np.array([d.floor for d in draws]), np.array([d.ceiling for d in draws])
    gap = (ceilings - floors).sum()
    return float((scores - floors).sum() / gap) if gap > 0 else math.inf  # without a gap, a value has no meaning
