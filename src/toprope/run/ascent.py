"""Attempts at the gate: when, with which candidate, and when the answer is heard.

A policy, not a whim: at most one attempt per so many experiments, always the best untried candidate that dev has not
shown to be worse than the champion, re-run alone first. The answer is heard a fixed number of generations later whether
or not it was ready sooner, so the climb does not depend on how fast the hub is, and the hub's time stays invisible.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from toprope.journal.records import Asked, Audited, record
from toprope.protocols import Ledger, Splits
from toprope.referee.client import HubClient
from toprope.referee.schedule import pace
from toprope.run import audit
from toprope.run.evaluate import Evaluator
from toprope.run.race import Finalist, Race
from toprope.space import Space
from toprope.types import Candidate, Tree

LAG = 3  # generations between an attempt and its answer: about as long as the schedule lets it wait
TRIES = 8  # candidates re-run alone before an attempt is given up
CROWD = 2.0  # times longer that hidden work takes while the climb goes on beside it


class Ascent:
    """The climb's dealings with the gate. `champion`: the last promoted finalist, or the starter."""

    def __init__(
        self,
        ledger: Ledger,
        hub: HubClient,
        race: Race,
        evaluator: Evaluator,
        candidate_of: tuple[Tree, Space],
        splits: Splits,
        spread: float,
        on_wait: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """on_wait: hears how long the climb must wait for an answer that is due, and None when it is there."""
        self._ledger, self._hub, self._race, self._evaluator = ledger, hub, race, evaluator
        self._tree, self._space = candidate_of
        self._splits, self._spread = splits, spread
        self._on_wait, self._leaves = on_wait, 0.0  # monotonic time of the first tick of what is pending
        self._asked = {r.candidate.id: r for r in map(record, ledger.read("attempt"))}
        self._audited = {r.candidate for r in map(record, ledger.read("audit"))}
        self._answers = {r.candidate: r for r in map(record, ledger.read("answer"))}
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
        asked = self._asked.get(candidate.id)
        if asked is None:
            draws = len(finalist.scores)
            scores, incidents, seconds = self._evaluator.alone(finalist.row, draws)
            expected = seconds / draws * 2 * self._splits.val_slice  # candidate and champion
            expected *= CROWD if generation >= 0 else 1.0
            pure = np.allclose(scores, finalist.scores, atol=1e-6)
            speed = pace(expected, self._splits.tick_s)
            asked = Asked(candidate, finalist.experiment, finalist.value, pure, speed, incidents)
            self._ledger.append(asked)
        if not asked.clean:
            return
        if candidate.id not in self._answers:
            self._hub.submit(candidate, asked.pace)
            self._leaves = time.monotonic() + self._splits.tick_s * 2**asked.pace
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
        answer = self._answers.get(candidate.id)
        if answer is None:
            self._on_wait(max(0.0, self._leaves - time.monotonic()))
            answer = self._hub.answer()
            self._on_wait(None)
            self._ledger.append(answer)
        if answer.promoted:
            self.champion = finalist
            self.promotions += 1
            self.measured = None if answer.measured is None else answer.measured.value
            self._audit(finalist, candidate)
        else:
            self._refused.append(finalist)

    def _audit(self, finalist: Finalist, candidate: Candidate) -> None:
        """Other seeds and a look at the files, once per promotion; it changes nothing, the report tells it."""
        if candidate.id in self._audited:
            return
        draws = len(finalist.scores)
        others = [self._evaluator.alone(finalist.row, draws, r)[0] for r in range(1, audit.REPLICATES + 1)]
        found = audit.luck(finalist.scores.astype(np.float64), np.array(others, dtype=np.float64))
        self._ledger.append(Audited(candidate.id, found + audit.tables(self._tree.files)))
