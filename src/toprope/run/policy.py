"""When a climb makes an attempt at the gate, with which candidate, and when it hears the answer.

The rule is fixed: at most one attempt per `attempt_every` experiments, always with the best untried candidate that dev
has not shown to be worse than the champion. The answer is used LAG generations later even if it was ready sooner, so
that the climb does not depend on the speed of the hub and does not reveal it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from toprope.journal.records import AttemptRecord
from toprope.protocols import Splits
from toprope.run.attempts import CROWD, Attempts, Practised
from toprope.run.evaluate import Evaluator
from toprope.run.race import Finalist, Race
from toprope.space import Space
from toprope.types import Candidate, Tree

LAG = 3  # generations between an attempt and its answer: about as long as the release schedule takes
TRIES = 8  # candidates re-run in isolation before an attempt is given up


class AttemptPolicy:
    """Decides which finalists are sent. `champion`: the last promoted finalist, or the starter."""

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
        """spread: root mean square difference between good candidates, in the unit of a draw's score. on_wait: called
        with the seconds that the climb must wait for an answer that is due, and with None when it has come."""
        self._attempts, self._race, self._evaluator = attempts, race, evaluator
        self._tree, self._space = candidate_of
        self._splits, self._spread = splits, spread
        self._on_wait, self._leaves = on_wait, 0.0  # monotonic time of the pending answer's first release slot
        self._tried: set[int] = set()
        self._refused: list[Finalist] = []
        self._next_at = splits.attempt_every  # an attempt before that would waste a slice on an early champion
        self._pending: tuple[int, Finalist, Candidate] | None = None
        self.champion: Finalist | None = None
        self.promotions = 0
        self.measured: float | None = None  # of the champion

    def state(self) -> dict[str, Any]:
        """Everything that later attempts depend on, besides what `Attempts` reads from the ledger."""
        pending = None if self._pending is None else [self._pending[0], list(self._pending[1])]
        return {
            "tried": sorted(self._tried),
            "refused": [list(f) for f in self._refused],
            "next": self._next_at,
            "pending": pending,
            "champion": None if self.champion is None else list(self.champion),
            "promotions": self.promotions,
            "measured": self.measured,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._tried, self._next_at = set(state["tried"]), state["next"]
        self._refused = [Finalist(*f) for f in state["refused"]]
        if (pending := state["pending"]) is not None:
            finalist = Finalist(*pending[1])
            candidate = Candidate(self._tree, self._space.decode(finalist.row))
            self._pending = (pending[0], finalist, candidate)
            self._send(candidate, self._attempts.asked[candidate.id])
        self.champion = None if state["champion"] is None else Finalist(*state["champion"])
        self.promotions, self.measured = state["promotions"], state["measured"]

    def barrier(self, generation: int) -> None:
        """At the end of a generation: uses an answer that is due, then makes an attempt if one is due."""
        if self._pending is not None and generation >= self._pending[0] + LAG:
            self._hear()
        if self._race.experiments >= self._next_at:
            self._ask(generation)

    def finish(self) -> None:
        """After the last generation: uses the pending answer, then makes one last attempt."""
        self.hear()
        self._ask(-LAG)
        self.hear()

    def hear(self) -> None:
        """Waits for the pending answer, if an attempt is pending."""
        if self._pending is not None:
            self._hear()

    def _ask(self, generation: int) -> None:
        """Sends the first of the next TRIES candidates that passes its re-run in isolation."""
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
        self._send(candidate, asked)
        self._pending = (generation, finalist, candidate)
        self._next_at = self._race.experiments + self._splits.attempt_every

    def _send(self, candidate: Candidate, asked: AttemptRecord) -> None:
        """To the gate, unless the ledger holds its answer."""
        if candidate.id not in self._attempts.answers:
            self._attempts.send(asked)
            self._leaves = time.monotonic() + self._attempts.first_s(asked.base_delay_exponent)

    def _next(self) -> Finalist | None:
        """The best untried finalist that dev has not shown to be worse than the champion.

        It need not lie above the champion: dev is practice data, and candidates that are equal there may differ on
        hidden draws. But a candidate that behaves like one that was refused would waste an attempt.
        """
        if self.champion is None:  # the starter, if it ran on all of dev
            self.champion = next((f for f in self._race.finalists if f.experiment == 0), None)
        for finalist in self._race.finalists:
            if finalist.experiment in self._tried | self._evaluator.quarantined or self._worse(finalist):
                continue
            if not any(self._alike(finalist, refused) for refused in self._refused):
                return finalist
        return None

    def _worse(self, finalist: Finalist) -> bool:
        """Whether it is the champion, scores equally on every draw, or lies more than one standard error below it,
        paired by dev draw."""
        if self.champion is None:
            return False
        if self.champion.experiment == finalist.experiment:
            return True
        gain = (finalist.scores - self.champion.scores).astype(np.float64)
        return bool(gain.mean() + gain.std() / np.sqrt(len(gain)) < 0 or not gain.any())

    def _alike(self, a: Finalist, b: Finalist) -> bool:
        """Whether they differ by less than a third of `spread`, as a root mean square over dev draws."""
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
