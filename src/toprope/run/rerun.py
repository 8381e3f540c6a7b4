"""Runs a candidate again in isolation, so that no neighbour in its block can have helped or harmed it."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Work
from toprope.models.broker import Broker
from toprope.space import several
from toprope.types import Block, Candidate, Incident

STEP = 8  # dev draws that one child meets


class Rerun(NamedTuple):
    """scores: (draws,) float32, NaN where the candidate failed. incidents: of tripwires and honeypots, each kind and
    severity once. seconds: wall time, plus the time that its questions to a model take when no reply is known yet."""

    scores: NDArray[np.float32]
    incidents: list[Incident]
    seconds: float


class Isolated:
    """Re-runs on the dev scorers of an executor."""

    def __init__(self, executor: Executor, broker: Broker | None, single_child: bool) -> None:
        """broker: of the model that candidates may ask, or None. single_child: run all draws in one child, for a task
        with a tally over draws."""
        self._executor, self._broker, self._single_child = executor, broker, single_child

    def run(self, candidate: Candidate, draws: int, replicate: int = 0) -> Rerun:
        """Runs on the first `draws` dev draws, in fresh children. replicate: selects other seeds for the candidate's
        own generator on the same draws; 0 repeats the experiment."""
        start, asked = time.monotonic(), self._asked
        space, rows = several([candidate.params])
        names = self._executor.load(candidate.tree, space)
        step = draws if self._single_child else STEP
        cuts = [tuple(range(at, min(at + step, draws))) for at in range(0, draws, step)]
        works = [Work(i, Block(*names, rows, cut), "dev", replicate=replicate) for i, cut in enumerate(cuts)]
        scores = np.full(draws, np.nan, dtype=np.float32)
        seen: dict[tuple[str, str], Incident] = {}
        for done in base.run(self._executor, works):
            scores[list(cuts[done.id])] = done.result.scores[0]
            for incident in done.result.incidents.get(0, []):
                seen.setdefault((incident.kind, incident.severity), incident)
        seconds = time.monotonic() - start
        if self._broker is not None:
            seconds += (self._asked - asked) * self._broker.latency_s / self._executor.slots
        return Rerun(scores, list(seen.values()), seconds)

    @property
    def _asked(self) -> int:
        return self._broker.asked if self._broker is not None else 0
