"""Do methods keep their order on the task that stands above this one (`tier_above` in task.toml)?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from toprope.assay.fit.row import Check
from toprope.assay.reference import columns, points, pool_of
from toprope.assay.transfer import best_quarter, doubles, rank_correlation
from toprope.protocols import Baseline, Task
from toprope.referee.panel import Column
from toprope.tasks import registry
from toprope.types import Candidate

POINTS, DRAWS, SEED = 48, 48, 0  # random points beside the baselines; practice draws of each task
LEAST = 0.5  # rank correlation over all of them


def tier(task: Task, workers: int) -> Iterator[Check]:
    """Nothing if the task names no tier above, and advice if that one is too costly. Raises UsageError if it names one
    that does not exist."""
    if not task.spec.tier_above:
        return
    above = registry.load(registry.find(task.spec.tier_above))
    if above.spec.costly:
        why = f"not measured, because a score of {above.spec.id} costs too much; `toprope transfer RUN --to` it does"
        yield Check("transfer", False, 0, LEAST, why, advice=True)
        return
    methods = [Candidate(b.tree, b.params) for b in task.baselines().values()]
    if task.space is not None:
        whole = Baseline(task.starter(), {}, "", own=tuple(d.name for d in task.space.dims))
        methods += points(task, whole, POINTS, SEED)
    x, y = (_columns(t, methods, workers) for t in (task, above))
    alone = sorted(set(doubles(x, y)))
    x, y = [x[i] for i in alone], [y[i] for i in alone]
    for name, which, advice in (("transfer", np.arange(len(x)), False), ("transfer, best", best_quarter(x), True)):
        found = rank_correlation(x, y, which)
        why = f"rank correlation of {found.methods} methods with {above.spec.id}, [{found.lo:.2f}, {found.hi:.2f}]"
        yield Check(name, found.value >= LEAST, round(found.value, 3), LEAST, why, advice)


def _columns(task: Task, methods: list[Candidate], workers: int) -> list[Column]:
    with closing(pool_of(task, SEED, workers)) as pool:
        return columns(pool, "dev", methods, DRAWS)
