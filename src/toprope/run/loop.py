"""One climb, on one screen: ask, race, tell, and sometimes an attempt at the gate.

Resuming is the same loop: blocks, attempts and answers that the ledger already holds are read instead of run.
"""

from __future__ import annotations

import time

from toprope.errors import RunError
from toprope.journal.records import Generation, record
from toprope.journal.spec import RunSpec
from toprope.protocols import Climber, Ledger
from toprope.run.keeping import Keeping, Kept
from toprope.run.policy import AttemptPolicy
from toprope.run.race import Race
from toprope.run.stopping import Stop
from toprope.space import Conditions, Space


class Budget:
    """Experiments are exact and reproducible; minutes count climbing time over all sessions and are checked at
    barriers."""

    def __init__(self, spec: RunSpec, ledger: Ledger, start: Kept | None = None) -> None:
        """start: where a long climb goes on (`keeping.py`)."""
        self._experiments, self._minutes = spec.experiments, spec.minutes
        self._first, since = (start.number, start.entries) if start is not None else (0, 0)
        self._past = [r.elapsed for r in map(record, ledger.read("generation", since))]
        self._before = self._past[-1] if self._past else start.elapsed if start is not None else 0.0
        self._start = time.monotonic()

    def elapsed(self, generation: int) -> float:
        """Seconds of climbing at this barrier: the recorded value, or measured from the last record."""
        if self.recorded(generation):
            return float(self._past[generation - self._first])
        return self._before + time.monotonic() - self._start

    def recorded(self, generation: int) -> bool:
        return generation < self._first + len(self._past)

    def left(self, experiments: int, generation: int) -> int:
        """Experiments that the climber may still be asked for after `generation`; 0 ends the climb."""
        if (
            self._minutes is not None
            and not self.recorded(generation + 1)
            and self.elapsed(generation) >= 60 * self._minutes
        ):
            return 0
        return 2**31 if self._experiments is None else self._experiments - experiments


def climb(
    climber: Climber,
    race: Race,
    attempts: AttemptPolicy,
    budget: Budget,
    ledger: Ledger,
    size: int,
    space: Space,
    stop: Stop,
    keep: Keeping | None = None,
) -> None:
    """Climbs until the budget is spent, all points of the space have been tried, or `stop` ends it. size: proposals
    per generation. keep: says where to begin, and keeps the state at barriers. The first proposal of every climber is
    the unmodified starter. Raises RunError if nothing but the starter runs."""
    conditions = Conditions(space)
    points = conditions.points
    number, ask = (keep.start.number, keep.start.ask) if keep is not None and keep.start is not None else (0, 1)
    while ask > 0:
        rows = conditions.canonical(climber.ask(ask))
        if not len(rows):
            break  # a replay has reached the end of its file
        results = race.run(rows)
        climber.tell(results)
        attempts.barrier(number)
        generation = _summary(number, race, budget.elapsed(number))
        if not budget.recorded(number):
            ledger.append(generation)
        if why := race.hopeless:
            raise RunError(f"{why}; repair the task or its space, and begin a new run")
        known = race.experiments - race.cached
        ask = min(size, budget.left(race.experiments, number)) if known < points else 0
        best = race.best.value if race.best else None
        if stop.barrier(race.experiments, best, attempts.promotions, attempts.measured):
            break
        number += 1
        if keep is not None:
            keep(number, ask, race.experiments, generation.elapsed)
    attempts.finish()


def _summary(number: int, race: Race, elapsed: float) -> Generation:
    best = race.best
    return Generation(
        number,
        race.experiments,
        round(elapsed, 3),
        best.value if best else None,
        best.experiment if best else None,
        race.pruned,
        race.cached,
    )
