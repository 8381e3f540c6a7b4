"""What a method learned from practice draws is worth on `w2s/bank-v1`: is it the space of methods that limits a climb?

    python -m studies w2s/learned --draws 120

A network reads what honest methods say of a row, and statistics of the row among the others (`stacker.py`); it is
trained on the gold labels of practice draws, of which a climb sees scores only. On fresh practice draws of the same
banks it shows what a richer space of methods could gain there; on hidden draws, how much of that is about alignment of
teachers and students in general, and not about the practice banks. Prints one line a method and split: value (PGR) and
what it is better by than the best tuned baseline, with 95 % intervals over draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from studies.w2s import stacker
from toprope.stats.intervals import Estimate, difference, ratio
from toprope.tasks import registry
from toprope.types import Draw, Floats, Split
from toprope_tasks.w2s import student

TASK = "w2s/bank-v1"
HONEST = (
    "smoothing + logconf + L2 (tuned)",  # the best tuned baseline by dev
    "overlap density (tuned)",
    "logconf + L2 (tuned)",
    "k-means vote (tuned)",
    "smoothing + logconf + L2",
)
SEEDS = {"practice, trained on": 5, "practice, fresh": 7, "hidden": 6}
SIZES = ((3, 16), (8, 64))  # (epochs, width) of a network


class Looked(NamedTuple):
    """A draw and what the network sees of it."""

    draw: Draw
    view: stacker.StackerView


def main(*, draws: int = 120) -> None:
    """draws: of each of the three sets."""
    task = registry.load(TASK)
    baselines = task.baselines()
    methods = [baselines[name].params for name in HONEST]
    sets = {}
    for name, seed in SEEDS.items():
        split: Split = "test" if name == "hidden" else "dev"
        made = (task.generate(split, i, seed) for i in range(draws))
        sets[name] = [Looked(d, stacker.look(d, methods)) for d in made]
        for i, method in enumerate(HONEST):
            _show(name, method, sets[name], np.array([one.view.accuracies[i] for one in sets[name]]))
    first = sets["practice, trained on"]
    x = np.concatenate([one.view.pool for one in first])
    gold = np.concatenate([np.asarray(one.draw.private.pool_labels) for one in first])
    for epochs, width in SIZES:
        net = stacker.train(x, gold, 0, epochs, width)
        for name, some in sets.items():
            _show(name, f"learned, {epochs} epochs, width {width}", some, np.array([score(net, one) for one in some]))


def score(net: stacker.Network, one: Looked) -> float:
    """Accuracy of the referee's student on the network's answers for the pool."""
    gold = one.draw.private
    answers = 1 / (1 + np.exp(-net.logits(one.view.pool)))
    probe = student.fit(gold.basis, answers[None], np.ones((1, len(answers))))
    return float(np.mean((probe.probabilities(gold.basis, gold.test_features) > 0.5) == gold.test_labels))


def _show(name: str, method: str, some: Sequence[Looked], accuracies: Floats) -> None:
    floors, ceilings = ([getattr(one.draw, side) for one in some] for side in ("floor", "ceiling"))
    value = ratio(accuracies, floors, ceilings)
    gain = difference(accuracies, [one.view.accuracies[0] for one in some], floors, ceilings)
    print(f"{name:22} {method:36} {_said(value)}   over {HONEST[0]}: {_said(gain)}", flush=True)


def _said(e: Estimate) -> str:
    return f"{e.value:+.3f} [{e.lo:+.3f}, {e.hi:+.3f}]"
