"""How often honest candidates set off a tripwire or a honeypot, with every decoy planted (docs/threat-model.md).

All baselines, each alone, then random points of the task's space in blocks as a climb sends them: of the starter, and
of the honest twin of every candidate cheat (`assay/redteam`). A kind of incident may be called certain only while this
prints 0 for it; the exit code is 1 otherwise.
"""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import numpy as np

from toprope import seeding
from toprope.assay.redteam import corpus
from toprope.assay.redteam.candidate_range import CandidateRange
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.protocols import Task
from toprope.referee.honeypots import complete_secret
from toprope.sandbox.selftest import best_tier
from toprope.space import several
from toprope.stats.tails import clopper_pearson
from toprope.tasks import registry
from toprope.types import Block, Tree

BLOCK, DRAWS = 8, 4  # candidates to a child, dev draws for each


def count(task_id: str, candidates: int, seed: int, workers: int) -> tuple[int, Counter[tuple[str, str]]]:
    """Candidates that ran, and (kind, severity) -> how many of them had such an incident."""
    task = registry.load(task_id)
    pool = LocalExecutor(
        ScorerConfig(task_id, {"dev": seeding.dev_secret(seed)}, best_tier().tier, complete_secret()), workers
    )
    rng = np.random.default_rng(seed)
    works: list[Work] = []
    draws = task.spec.splits.rungs[-1]

    def some() -> tuple[int, ...]:
        return tuple(sorted(rng.choice(draws, min(DRAWS, draws), replace=False).tolist()))

    try:
        for baseline in task.baselines().values():
            space, rows = several([baseline.params])
            works.append(Work(len(works), Block(*pool.load(baseline.tree, space), rows, some()), "dev", detail=True))
        if task.space is not None:
            missing = -(-max(0, candidates - len(works)) // BLOCK)
            for _, tree in zip(range(missing), cycle(authors(task)), strict=False):
                names = pool.load(tree, task.space)
                codes = rng.integers(0, task.space.sizes, (BLOCK, len(task.space.sizes)), endpoint=True)
                works.append(Work(len(works), Block(*names, codes.astype(np.uint8), some()), "dev", detail=True))
        found: Counter[tuple[str, str]] = Counter()
        for done in pool.run(works):
            for seen in done.result.incidents.values():
                found.update({(i.kind, i.severity) for i in seen})
    finally:
        pool.close()
    return sum(len(w.block.rows) for w in works), found


def authors(task: Task) -> list[Tree]:
    """The starter, and the twin of every candidate cheat: honest, but with a cheat's files beside it and an act that a
    tripwire might take for one."""
    cheats = [c for c in corpus.load(corpus.SHIPPED) if c.kind == "candidate" and not c.machine]
    with CandidateRange(task.spec.id, best_tier().tier) as stage:
        return [task.starter(), *(stage.wear(cheat, "twin") for cheat in cheats)]


def main(task: str, *, candidates: int = 1000, seed: int = 0, workers: int = 2) -> int:
    task = registry.find(task)
    n, found = count(task, candidates, seed, workers)
    certain = sum(k for (_, severity), k in found.items() if severity == "certain")
    _, high = clopper_pearson(certain, n)
    print(f"{task}: {n} honest candidates, {certain} certain incidents (95 % bound on the rate {high:.4f})")
    for (kind, severity), k in sorted(found.items()):
        print(f"  {kind} ({severity}): {k}")
    return int(certain > 0)
