"""Do parameters without effect, by the conditions of the space (`Dim.when`), really change nothing? A condition that is
wrong would keep a part of the space from every climb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from toprope.assay.fit.row import Check
from toprope.climbers.random import uniform_rows
from toprope.executors import base
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.protocols import Task
from toprope.space import Conditions, Space
from toprope.types import Block, Codes, Floats

POINTS, DRAWS, SEED = 48, 4, 0  # random points, and practice draws of each


def conditions(task: Task, secret: bytes, tier: str, workers: int) -> Iterator[Check]:
    """Nothing for a task whose space has no conditions. Random points are compared with their canonical ones."""
    space = task.space
    if space is None or not any(d.when for d in space.dims):
        return
    rows = uniform_rows(np.random.default_rng(SEED).random((POINTS, len(space.dims))), space.sizes + 1.0)
    settled = Conditions(space).canonical(rows)
    with closing(LocalExecutor(ScorerConfig(task.spec.id, {"dev": secret}, tier, secret), workers)) as pool:

        def differ(some: Codes, others: Codes) -> np.ndarray:
            a, b = _scores(task, pool, space, some), _scores(task, pool, space, others)
            return np.array([not task.spec.metric.same(x, y) for x, y in zip(a, b, strict=True)])

        wrong = np.flatnonzero(differ(rows, settled))
        why = f"of {POINTS} random points, those that parameters change which should have no effect there"
        if len(wrong):
            row, home = rows[wrong[0]], settled[wrong[0]]
            moved = np.flatnonzero(row != home)
            each = np.tile(home, (len(moved), 1))
            each[np.arange(len(moved)), moved] = row[moved]
            to_blame = moved[differ(each, np.tile(home, (len(moved), 1)))]
            names = [space.dims[i].name for i in (to_blame if len(to_blame) else moved)]
            why += f"; first {', '.join(names)}, at {space.decode(home)}"
    yield Check("conditions", not len(wrong), len(wrong), 0, why)


def _scores(task: Task, pool: LocalExecutor, space: Space, rows: Codes) -> Floats:
    """(k, DRAWS), NaN where a point failed."""
    names = pool.load(task.starter(), space)
    works = [Work(i, Block(*names, rows, (i,)), "dev") for i in range(DRAWS)]
    scores = np.full((len(rows), DRAWS), np.nan)
    for done in base.run(pool, works):
        scores[:, done.id] = done.result.scores[:, 0]
    return scores
