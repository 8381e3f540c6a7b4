"""Draws of cells and weights at will, and what points of the shipped grammar score on draws, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from toprope.protocols import Task
from toprope.tasks.trusted import outputs
from toprope.types import Draw, Floats, Json
from toprope_tasks.w2s import cells
from toprope_tasks.w2s.draws import Sampler
from toprope_tasks.w2s.states import LINES_PER_OP, open_bank
from toprope_tasks.w2s.task import WeakToStrong

SEED = 20261123


def simulate(side: str, weights: Sequence[Path], count: int, seed: int, lines: int = LINES_PER_OP) -> Iterator[Draw]:
    """Draws of every standard cell of a side in turn, weights alternating."""
    rng = np.random.default_rng([seed, count])
    samplers = [Sampler(open_bank(path, lambda what, done: None, lines)) for path in weights]
    order = rng.permutation(len(cells.admitted("standard", side)))
    for i in range(count):
        yield samplers[i % len(samplers)].draw(cells.admitted("standard", side)[order[i % len(order)]], rng)


def accuracies(task: WeakToStrong, draws: Iterable[Draw], params: Mapping[str, Json]) -> Floats:
    """(n,) test accuracies of the grammar's point `params`."""
    return np.array([task.score(outputs(cast(Task, task), task.starter(), draw, params), draw)[0] for draw in draws])
