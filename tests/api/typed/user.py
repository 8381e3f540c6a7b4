"""What a user writes against toprope; type checkers in their strictest form accept it (`test_typing.py`)."""
# pyright: strict

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import toprope


class Neighbours:
    """A climber of one's own."""

    def __init__(self, space: toprope.Space, seed: int) -> None:
        self.space, self.rng = space, np.random.default_rng(seed)
        self.best, self.value = space.default(), -np.inf

    def ask(self, n: int) -> NDArray[np.uint8]:
        return np.repeat(self.best[None, :], n, axis=0)

    def tell(self, results: toprope.Results) -> None:
        for row, value in zip(results.rows, results.values, strict=True):
            if value > self.value:
                self.best, self.value = row, float(value)


class Ear:
    """An observer of one's own."""

    def __init__(self) -> None:
        self.best: list[float | None] = []

    def hear(self, record: object) -> None:
        if isinstance(record, toprope.Generation):
            self.best.append(record.best)


def climb(directory: str) -> float | None:
    """A climb, and what is read from it."""
    history: toprope.RunHistory = toprope.climb(
        "testing/coin-v1", climber=Neighbours, run=directory, observers=[Ear()], experiments=32, seed=1
    )
    measured: toprope.Estimate | None = history.measured
    count: int = history.experiments
    scores, failed = history.dev_scores()
    means = {experiment: float(row.mean()) for experiment, row in scores.items() if experiment not in failed}
    columns = history.frame("dict")
    dev: NDArray[np.float64] = columns["dev"]
    history.plot().save(f"{directory}/climb.svg")
    checked: toprope.Verification = toprope.verify(directory)
    if not checked.ok or count < len(means) or dev.size == 0:
        return None
    return measured.value if measured is not None else None


def look(candidate: str) -> list[str]:
    """Errors are of one root; results have fields with types."""
    try:
        found: toprope.Submission = toprope.submit("testing/coin-v1", candidate, params={"face": 1})
    except toprope.TopropeError as e:
        return [str(e)]
    if found.outcome is not toprope.Outcome.OK or found.dev is None:
        return [found.message or ""]
    return [f"{found.dev.value:.3f} over {found.dev.draws}", *(i.kind for i in found.incidents)]


def names() -> list[str]:
    space = toprope.Space([toprope.linear("weight", 0.0, 1.0, 11, 0.5), toprope.choice("rule", ["a", "b"])])
    return [*(card.id for card in toprope.list_tasks()), *(d.name for d in space.dims)]
