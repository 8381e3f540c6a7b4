"""Whether the task of a run that goes on still scores its candidates as it did when the run began."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Work
from toprope.journal.history import RunHistory
from toprope.protocols import SAME, Metric
from toprope.space import several
from toprope.tasks import mark
from toprope.types import Block, Candidate, Floats, Outcome


def scored_otherwise(history: RunHistory, executor: Executor, metric: Metric) -> str:
    """Why the task differs, judged by the scores of the starter and of the last pure attempts on the first dev
    draws; empty if it does not."""
    o = history.opening
    n = min(mark.DRAWS, len(o.floors))
    sent = [(a.experiment, a.candidate) for a in history.asked if a.pure][-3:]
    start = Candidate(o.tree, o.space.decode(o.space.default()))
    works = [Work(i, one_candidate(executor, c, range(n)), "dev") for i, (_, c) in enumerate([(0, start), *sent])]
    for done in base.run(executor, works):
        past = _first_scores(history, 0 if done.id == 0 else sent[done.id - 1][0], n)
        if done.id == 0 and not _begins_with(history, start):
            past = None  # a climber of the user's own may begin elsewhere
        pairs = [(done.floors, o.floors[:n]), (done.ceilings, o.ceilings[:n])]
        same = all(np.allclose(a, b, rtol=SAME, atol=SAME) for a, b in pairs)
        if past is not None and done.result.outcomes[0] not in (Outcome.TIMEOUT, Outcome.MEMORY):  # a busy machine
            same = same and metric.same(done.result.scores[0], past)
        if not same:
            return (
                f"task {o.spec.task} has changed since the run began: candidates score differently on its dev "
                "draws; restore the old version, or begin a new run"
            )
    return ""


def _begins_with(s: RunHistory, candidate: Candidate) -> bool:
    """Whether it is the run's first experiment."""
    return any(len(b.rows) and s.candidate(b, int(np.argmax(b.experiments == 0))) == candidate for b in s.blocks_of(0))


def one_candidate(executor: Executor, candidate: Candidate, draws: Iterable[int]) -> Block:
    """A block of one candidate."""
    space, rows = several([candidate.params])
    return Block(*executor.load(candidate.tree, space), rows, tuple(draws))


def _first_scores(s: RunHistory, experiment: int, n: int) -> Floats | None:
    """The recorded scores (n,) of an experiment on the first n dev draws, if it saw them all and ended ok."""
    found = np.full(n, np.nan)
    for b in s.blocks_of(experiment):
        at = int(np.argmax(b.experiments == experiment))
        if b.lo < n and at not in b.outcomes:
            found[b.lo : b.hi] = b.scores[at, : n - b.lo]
    return found if np.isfinite(found).all() else None
