"""When a climb makes an attempt at the gate, with which candidate, and when it hears the answer.

A policy, not a whim: at most one attempt per so many experiments, always the best untried candidate that dev has not
shown to be worse than the champion. The answer is heard a fixed number of generations later whether or not it was ready
sooner, so the climb does not depend on how fast the hub is, and the hub's time stays invisible.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from toprope.protocols import Splits
from toprope.run.attempts import CROWD, Attempts, Practised
from toprope.run.evaluate import Evaluator
from toprope.run.race import Finalist, Race
from toprope.space import Space
from toprope.types import Candidate, Tree

LAG = 3  # generations between an attempt and its answer: about as long as the schedule lets it wait
TRIES = 8  # candidates re-run by themselves before an attempt is given up


class AttemptPolicy:
    """Which finalists are sent. `champion`: the last promoted finalist, or the starter."""

    def __init__(
        self,
        attempts: Attempts,
        race: Race,
        evaluator: Evaluator,
        candidate_of: tuple[Tree, Space],
        splits: Splits,
        spread: float,
        on_wait: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """spread: root mean square difference between good candidates, in the unit of a draw's score. on_wait: hears
        how many seconds the climb must wait for an answer that is due, and None when it is there."""
        self._attempts, self._race, self._evaluator = attempts, race, evaluator
        self._tree, self._space = candidate_of
        self._splits, self._spread = splits, spread
        self._on_wait, self._leaves = on_wait, 0.0  # monotonic time of the first moment of what is pending
        self._tried: set[int] = set()
        self._refused: list[Finalist] = []
        self._next_at = splits.attempt_every  # an early champion would only burn a slice
        self._pending: tuple[int, Finalist, Candidate] | None = None
        self.champion: Finalist | None = None
        self.promotions = 0
        self.measured: float | None = None  # of the champion

    def barrier(self, generation: int) -> None:
        """At the end of a generation: hear an answer that is due, then perhaps ask again."""
        if self._pending is not None and generation >= self._pending[0] + LAG:
            self._hear()
        if self._race.experiments >= self._next_at:
            self._ask(generation)

    def finish(self) -> None:
        """After the last generation: hear what is pending, then one last attempt."""
        self.hear()
        self._ask(-LAG)
        self.hear()

    def hear(self) -> None:
        """Waits for the answer that is pending, if one is."""
        if self._pending is not None:
            self._hear()

    def _ask(self, generation: int) -> None:
        """Sends the next candidate that holds up when it runs alone, of the first few."""
        for _ in range(TRIES):
            finalist = self._next()
            if self._pending is not None or finalist is None:
                return
            self._consider(finalist, generation)

    def _consider(self, finalist: Finalist, generation: int) -> None:
        self._tried.add(finalist.experiment)
        candidate = Candidate(self._tree, self._space.decode(finalist.row))
        sent = Practised(candidate, finalist.experiment, finalist.value, finalist.scores)
        asked = self._attempts.consider(sent, CROWD if generation >= 0 else 1.0)  # at the end nothing runs beside it
        if not asked.clean:
            return
        if candidate.id not in self._attempts.answers:
            self._attempts.send(asked)
            self._leaves = time.monotonic() + self._attempts.first_s(asked.base_delay_exponent)
        self._pending = (generation, finalist, candidate)
        self._next_at = self._race.experiments + self._splits.attempt_every

    def _next(self) -> Finalist | None:
        """The best untried finalist that dev has not shown to be worse than the champion.

        Not only those above it: dev is practice data, and what is level there may differ on hidden draws. But a
        candidate that behaves like one just refused would waste an attempt.
        """
        if self.champion is None:  # the starter, if it is sound
            self.champion = next((f for f in self._race.finalists if f.experiment == 0), None)
        for finalist in self._race.finalists:
            if finalist.experiment in self._tried | self._evaluator.quarantined or self._worse(finalist):
                continue
            if not any(self._alike(finalist, refused) for refused in self._refused):
                return finalist
        return None

    def _worse(self, finalist: Finalist) -> bool:
        """More than one standard error below the champion, paired by dev draw."""
        if self.champion is None:
            return False
        if self.champion.experiment == finalist.experiment:
            return True
        gain = (finalist.scores - self.champion.scores).astype(np.float64)
        return bool(gain.mean() + gain.std() / np.sqrt(len(gain)) < 0 or not gain.any())

    def _alike(self, a: Finalist, b: Finalist) -> bool:
        """Differ by less than a third of the spread between good candidates, root mean square over dev draws."""
        return bool(np.sqrt(np.mean((a.scores - b.scores).astype(np.float64) ** 2)) < self._spread / 3)

    def _hear(self) -> None:
        assert self._pending is not None
        _, finalist, candidate = self._pending
        self._pending = None
        answer = self._attempts.answers.get(candidate.id)
        if answer is None:
            self._on_wait(max(0.0, self._leaves - time.monotonic()))
            answer = self._attempts.hear()
            self._on_wait(None)
        if answer.promoted:
            self.champion = finalist
            self.promotions += 1
            self.measured = None if answer.measured is None else answer.measured.value
            self._attempts.audit(candidate, finalist.scores)
        else:
            self._refused.append(finalist)
