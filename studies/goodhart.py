"""The Goodhart view of a task: what search gains on practice draws, and how much of it is true (docs/tasks).

Several independent climbs; at each power of the budget the best candidate by dev so far is scored on hidden draws that
no climb ever met. Operator-only: the hidden column would be a leak if a climber saw it. One line per number of
experiments: dev, hidden, their gap, each the mean over runs with its standard error (Gao, Schulman & Hilton 2023,
arXiv:2210.10760, show the same with a reward model in place of practice draws).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import toprope
from toprope.assay.reference import SEED, columns, pool_of
from toprope.executors.local import LocalExecutor
from toprope.journal.history import RunHistory
from toprope.protocols import Task
from toprope.stats.intervals import ratio
from toprope.tasks import registry
from toprope.types import Candidate


def budgets(most: int) -> list[int]:
    """1 (the starter), then 10, 32, 100, 316 ... up to `most` experiments."""
    steps = [round(10 ** (i / 2)) for i in range(2, 40)]
    return sorted({1, most, *(n for n in steps if n < most)})


def climb(task: str, seed: int, experiments: int, workers: int, folder: Path) -> RunHistory:
    """One run of the shipped climber in a vault of its own."""
    return toprope.climb(
        task,
        seed=seed,
        workers=workers,
        experiments=experiments,
        run=folder / f"run-{seed}",
        vault=folder / f"vault-{seed}",
    )


def leaders(history: RunHistory, at: list[int]) -> list[tuple[Candidate, float]]:
    """(best candidate by dev, its dev value) of the first n experiments, for each n, among those seen on all draws."""
    o = history.opening
    scores, failed = history.dev_scores()
    gap = float((o.ceilings - o.floors).sum())
    whole = {
        e: float((s - o.floors).sum()) / gap for e, s in scores.items() if len(s) == len(o.floors) and e not in failed
    }
    rows = {int(e): b.rows[i] for b in history.blocks if b.begins for i, e in enumerate(b.experiments)}
    found = []
    for n in at:
        best = max((e for e in whole if e < n), key=whole.__getitem__)
        found.append((Candidate(o.tree, o.space.decode(rows[best])), whole[best]))
    return found


def view(task: Task, histories: list[RunHistory], at: list[int], pool: LocalExecutor, draws: int) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| experiments | dev | hidden | gap |"
    yield "|---|---|---|---|"
    runs = [leaders(history, at) for history in histories]
    every = list({c.id: c for run in runs for c, _ in run}.values())
    scored = columns(pool, "measure", every, draws)
    hidden = {c.id: ratio(s.counted, s.floors, s.ceilings).value for c, s in zip(every, scored, strict=True)}
    for i, n in enumerate(at):
        dev = np.array([run[i][1] for run in runs])
        true = np.array([hidden[run[i][0].id] for run in runs])
        yield f"| {n} | {_said(dev)} | {_said(true)} | {_said(dev - true)} |"


def _said(x: np.ndarray) -> str:
    error = x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else float("nan")
    return f"{x.mean():.3f} ± {error:.3f}"


def main(
    task: str, *, experiments: int = 3000, runs: int = 3, draws: int = 400, workers: int = os.cpu_count() or 1
) -> None:
    task = registry.find(task)
    loaded = registry.load(task)
    with tempfile.TemporaryDirectory() as folder:
        histories = []
        for seed in range(1, runs + 1):
            histories.append(climb(task, seed, experiments, workers, Path(folder)))
            print(f"run {seed} of {runs} is done", file=sys.stderr, flush=True)
        pool = pool_of(loaded, SEED, workers)
        try:
            for line in view(loaded, histories, budgets(experiments), pool, draws):
                print(line, flush=True)
        finally:
            pool.close()
