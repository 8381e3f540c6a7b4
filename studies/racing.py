"""What beginning at other draws does to a race, simulated: the true value of the best by dev, at equal cost.

The landscape has 16 slots of 8 levels. A level's effect on a draw is its true effect, standard deviation 1, and one of
that draw alone, standard deviation 3. The real `Race` and the real `Evolution` climb it, in generations of 512, with
the rungs of `w2s/bank-v1`. `turning`: after two generations without a better candidate the next begin at another draw;
otherwise every generation begins at draw 0. Both climbs of a seed have the same landscape and the same budget.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toprope.climbers.evolution import Evolution
from toprope.run.race import Piece, Race, Scored
from toprope.space import Space, choice
from toprope.types import Anchors, Floats

SLOTS, LEVELS, DRAWS, GENERATION = 16, 8, 84, 512
RUNGS = [2, 6, 20, DRAWS]
DEVIATION = 3.0  # of an effect that one draw alone has; true effects have 1


def climbed(turning: bool, seed: int, budget: int) -> tuple[float, int]:
    """The true value of the best one by dev after `budget` draws, 1 for the best point of all, and how many candidates
    were proposed."""
    rng = np.random.default_rng(seed)
    true, own = rng.normal(size=(SLOTS, LEVELS)), rng.normal(0.0, DEVIATION, (DRAWS, SLOTS, LEVELS))
    slots, used, proposed = np.arange(SLOTS), 0, 1

    def evaluate(pieces: list[Piece]) -> Iterator[Scored]:
        nonlocal used
        for p in pieces:
            used += len(p.rows) * (p.hi - p.lo)
            scores = [(true + own[d])[slots, p.rows].sum(axis=1) for d in range(p.lo, p.hi)]
            yield Scored(np.stack(scores, axis=1).astype(np.float32), {})

    climber = Evolution(Space([choice(f"slot{i}", list(range(LEVELS))) for i in slots]), seed)
    anchors = Anchors(np.zeros(DRAWS), np.ones(DRAWS) * 40)
    race = Race(RUNGS, anchors, evaluate, turning=turning)
    climber.tell(race.run(climber.ask(1)))
    while used < budget:
        climber.tell(race.run(climber.ask(GENERATION)))
        proposed += GENERATION
    assert race.best is not None
    return float(true[slots, race.best.row].sum() / true.max(axis=1).sum()), proposed


def compared(seeds: int, budget: int) -> tuple[Floats, int]:
    """(seeds, 2) true values with and without turning, and the mean number of candidates with it."""
    both = [[climbed(turning, seed, budget) for turning in (True, False)] for seed in range(seeds)]
    return np.array([[value for value, _ in pair] for pair in both]), round(np.mean([pair[0][1] for pair in both]))


def main(*, seeds: int = 40, budgets: str = "22000,45000,135000") -> None:
    """budgets: draws of a climb, with commas. The interval of the gain is of 95 %, over seeds (normal)."""
    print(f"{'draws':>8} {'candidates':>10} {'always draw 0':>14} {'other draws':>12} {'gain':>7}")
    for budget in map(int, budgets.split(",")):
        values, proposed = compared(seeds, budget)
        gains = values[:, 0] - values[:, 1]
        half = 1.96 * gains.std(ddof=1) / np.sqrt(seeds)
        (turned, still), gain = values.mean(0), gains.mean()
        said = f"{gain:+7.3f} [{gain - half:+.3f}, {gain + half:+.3f}]"
        print(f"{budget:>8} {proposed:>10} {still:>14.3f} {turned:>12.3f} {said}")
