"""Do parameters without effect, by the conditions of the space (`Dim.when`), really change nothing? A condition that is
wrong would keep a part of the space from every climb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from toprope.assay.fit.row import Check
from toprope.assay.reference import columns, pool_of
from toprope.climbers.random import uniform_rows
from toprope.protocols import Task
from toprope.space import Conditions
from toprope.types import Candidate, Codes

POINTS, DRAWS, SEED = 48, 4, 0  # random points, and practice draws of each


def conditions(task: Task, workers: int) -> Iterator[Check]:
    """Nothing for a task whose space has no conditions. Random points are compared with their canonical ones."""
    space = task.space
    if space is None or not any(d.when for d in space.dims):
        return
    tree = task.starter()
    rows = uniform_rows(np.random.default_rng(SEED).random((POINTS, len(space.dims))), space.sizes + 1.0)
    settled = Conditions(space).canonical(rows)
    with closing(pool_of(task, SEED, workers)) as pool:

        def differ(some: Codes, others: Codes) -> NDArray[np.bool_]:
            both = [Candidate(tree, space.decode(row)) for row in np.concatenate([some, others])]
            scores = [c.scores for c in columns(pool, "dev", both, DRAWS)]
            pairs = zip(scores[: len(some)], scores[len(some) :], strict=True)
            return np.array([not task.spec.metric.same(a, b) for a, b in pairs])

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
