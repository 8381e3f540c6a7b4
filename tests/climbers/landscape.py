"""A synthetic landscape to climb: 20 dimensions, many local optima, noise on every score."""

import numpy as np

from toprope.protocols import Climber, Results
from toprope.space import Dim, Space, choice
from toprope.types import Codes, Floats, Outcome

SPACE = Space(
    [Dim(f"x{i}", [float(v) for v in range(16)], 8, ordered=True) for i in range(12)]
    + [choice(f"c{i}", ["a", "b", "c", "d", "e"]) for i in range(8)],
    slots=[[0, 1, 2, 12, 13], [3, 4, 5, 14, 15], [6, 7, 8, 16, 17]],
)


def truth(rows: Codes, world: int) -> Floats:
    """Rippled distance to a hidden optimum, plus choices that count only in the right pairs. At most 1."""
    rng = np.random.default_rng([77, world])
    best = rng.integers(0, 16, 12)
    away = (rows[:, :12] - best) / 16.0
    ripple = (1 - np.cos(2 * np.pi * away * 16 / 3)) / 2  # a local optimum every three levels
    pairs = rng.normal(0, 1, (4, 5, 5))
    pairs /= pairs.max(axis=(1, 2), keepdims=True)
    chosen = pairs[np.arange(4), rows[:, 12:20:2], rows[:, 13:20:2]].mean(axis=1)
    return np.asarray(0.5 * (1 - 4 * (away**2).mean(axis=1) - 0.2 * ripple.mean(axis=1)) + 0.5 * chosen)


def climb(climber: Climber, budget: int, batch: int, world: int, noise: float = 0.05) -> float:
    """True score of the experiment with the best noisy score, after `budget` experiments."""
    rng = np.random.default_rng([78, world])
    rows_seen, noisy_seen = [], []
    for _ in range(budget // batch):
        rows = climber.ask(batch)
        values = truth(rows, world) + noise * rng.standard_normal(len(rows))
        climber.tell(Results(rows, values, np.ones(len(rows), dtype=np.int64), [Outcome.OK] * len(rows)))
        rows_seen.append(rows)
        noisy_seen.append(values)
    return float(truth(np.concatenate(rows_seen), world)[np.concatenate(noisy_seen).argmax()])
