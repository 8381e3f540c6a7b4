"""When a climb makes an attempt at the gate, with which candidate, and when it hears the answer.

The rule is fixed: at most one attempt per `attempt_every` experiments, and in a long climb one per SPARSER-th of the
experiments so far, so that the gate's work stays a small part of any climb. The best untried candidates that dev has
not shown to be worse than the champion meet fresh practice draws (`finals.py`), and the best one there goes. The answer
is used when the next attempt is due, even if it was ready sooner, so that the climb does not depend on the speed of the
hub and does not reveal it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from toprope.journal.records import AttemptRecord
from toprope.protocols import Splits
from toprope.run.attempts import CROWD, Attempts, Practised
from toprope.run.evaluate import Evaluator
from toprope.run.finals import Finals
from toprope.run.race import Finalist, Race
from toprope.space import Space
from toprope.types import Candidate, Tree

SPARSER = 32
LAG = 3  # generations, in runs of earlier formats
ALIKE = 0.1  # share of the spread; relatives of one candidate differ by a fifth of it, and one of them may be better
TRIES = 8  # candidates that go into the finals before an attempt, and may be re-run in isolation


class AttemptPolicy:
    """Decides which finalists are sent. `champion`: the last promoted finalist, or the starter."""

    def __init__(
        self,
        attempts: Attempts,
        race: Race,
        evaluator: Evaluator,
        finals: Finals | None,
        candidate_of: tuple[Tree, Space],
        splits: Splits,
        alike: float,
        on_wait: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """finals: None in a run of an earlier format, which goes on as it began: its best candidate goes to the gate,
        and answers are used LAG generations later. alike: a candidate that differs by less from a refused one is not
        sent; root mean square over dev draws, in the unit of a draw's score. on_wait: called with the seconds that the
        climb must wait for an answer that is due, and with None when it has come."""
        self._attempts, self._race, self._evaluator, self._finals = attempts, race, evaluator, finals
        self._tree, self._space = candidate_of
        self._splits, self._least = splits, alike
        self._on_wait, self._leaves = on_wait, 0.0  # monotonic time of the pending answer's first release slot
        self._tried: set[int] = set()
        self._refused: list[Finalist] = []
        self._next_at = splits.attempt_every  # an attempt before that would waste a slice on an early champion
        self._pending: tuple[Finalist, Candidate] | None = None
        self._sent_in = 0  # the generation
        self.champion: Finalist | None = None
        self.promotions = 0
        self.measured: float | None = None  # of the champion

    def state(self) -> dict[str, Any]:
        """Everything that later attempts depend on, besides what `Attempts` reads from the ledger."""
        pending = None if self._pending is None else [list(self._pending[0]), self._sent_in]
        return {
            "tried": sorted(self._tried),
            "refused": [list(f) for f in self._refused],
            "next": self._next_at,
            "pending": pending,
            "champion": None if self.champion is None else list(self.champion),
            "finals": 0 if self._finals is None else self._finals.held,
            "promotions": self.promotions,
            "measured": self.measured,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._tried, self._next_at = set(state["tried"]), state["next"]
        self._refused = [Finalist(*f) for f in state["refused"]]
        if (pending := state["pending"]) is not None:
            finalist, self._sent_in = Finalist(*pending[0]), pending[1]
            candidate = Candidate(self._tree, self._space.decode(finalist.row))
            self._pending = (finalist, candidate)
            self._send(candidate, self._attempts.asked[candidate.id])
        self.champion = None if state["champion"] is None else Finalist(*state["champion"])
        if self._finals is not None:
            self._finals.held = state["finals"]
        self.promotions, self.measured = state["promotions"], state["measured"]

    def barrier(self, generation: int) -> None:
        """At the end of a generation, if an attempt is due: uses the answer to the last one, then makes it."""
        due = self._race.experiments >= self._next_at
        if due if self._finals is not None else generation >= self._sent_in + LAG:
            self.hear()
        if due:
            self._ask(CROWD, generation)

    def finish(self) -> None:
        """After the last generation: uses the pending answer, then makes one last attempt."""
        self.hear()
        self._ask(1.0, 0)  # nothing runs beside the gate's work
        self.hear()

    def hear(self) -> None:
        """Waits for the pending answer, if an attempt is pending."""
        if self._pending is not None:
            self._hear()

    def _ask(self, crowd: float, generation: int) -> None:
        """Sends the best candidate of the short list that passes its re-run in isolation. crowd: how much longer the
        gate's work takes because of other work beside it."""
        names = self._short_list() if self._pending is None else []
        if names and self._finals is not None and self.champion is not None:
            self._next_at = next_attempt(self._race.experiments, self._splits.attempt_every)
            gains = self._finals.hold(names, self.champion)
            names = [names[i] for i in np.argsort(-gains.mean, kind="stable") if gains.mean[i] + gains.se[i] >= 0]
        for finalist in names:
            if self._pending is None:
                self._consider(finalist, crowd, generation)

    def _consider(self, finalist: Finalist, crowd: float, generation: int) -> None:
        self._tried.add(finalist.experiment)
        candidate = Candidate(self._tree, self._space.decode(finalist.row))
        sent = Practised(candidate, finalist.experiment, finalist.value, finalist.scores)
        asked = self._attempts.consider(sent, crowd)
        if not asked.clean:
            return
        self._send(candidate, asked)
        self._pending, self._sent_in = (finalist, candidate), generation
        if self._finals is None:
            self._next_at = self._race.experiments + self._splits.attempt_every

    def _send(self, candidate: Candidate, asked: AttemptRecord) -> None:
        """To the gate, unless the ledger holds its answer."""
        if candidate.id not in self._attempts.answers:
            self._attempts.send(asked)
            self._leaves = time.monotonic() + self._attempts.first_s(asked.base_delay_exponent)

    def _short_list(self) -> list[Finalist]:
        """The best TRIES untried finalists that dev has not shown to be worse than the champion.

        They need not lie above the champion: dev is practice data, and candidates that are equal there may differ on
        hidden draws. But a candidate that behaves like one that was refused would waste an attempt.
        """
        if self.champion is None:  # the starter, if it ran on all of dev
            self.champion = next((f for f in self._race.finalists if f.experiment == 0), None)
        barred = self._tried | self._evaluator.quarantined
        fit = (f for f in self._race.finalists if f.experiment not in barred and not self._worse(f))
        return list(itertools.islice((f for f in fit if not any(self._alike(f, r) for r in self._refused)), TRIES))

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
        return bool(np.sqrt(np.mean((a.scores - b.scores).astype(np.float64) ** 2)) < self._least)

    def _hear(self) -> None:
        assert self._pending is not None
        finalist, candidate = self._pending
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


def next_attempt(experiments: int, every: int) -> int:
    """The number of experiments from which on the next attempt is due, after one at `experiments`."""
    return experiments + max(every, experiments // SPARSER)
