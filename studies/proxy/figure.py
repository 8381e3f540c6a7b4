"""Draws docs/tasks/proxy.svg: gold against pressure, and where it turns (Gao, Schulman & Hilton, arXiv:2210.10760)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from studies.drawing import show
from toprope.figures import Chart, Line
from toprope.tasks.trusted import outputs
from toprope.types import Floats
from toprope_tasks.proxy import make
from toprope_tasks.proxy.private import goodhart
from toprope_tasks.proxy.task import RewardModel

SHOWN = ("bradley-terry", "ensemble", "invariance", "early-stopping", "audit-residual (tuned)")
SEED, RESAMPLES = 2026, 2000


def chart(task: RewardModel, draws: int) -> Chart:
    """Mean gold over hidden draws of the best of n by each method's reward, with 95 % bootstrap bands."""
    cases = [task.generate("test", i, SEED) for i in range(draws)]
    baselines, lines, notes = task.baselines(), [], []
    for name in SHOWN:
        print(name, file=sys.stderr)
        b = baselines[name]
        curves = [goodhart(outputs(task, b.tree, d, b.params)["rewards"], d.private.gold) for d in cases]
        kl, gold = curves[0].kl, np.array([c.gold[0] for c in curves])  # (q,), (draws, q)
        means = resampled(gold)
        lo, hi = np.quantile(means, [0.025, 0.975], axis=0)
        lines.append(Line(name, kl.tolist(), gold.mean(axis=0).tolist(), lo.tolist(), hi.tolist()))
        notes.append(f"{name}: {turnover(kl, gold.mean(axis=0), means)}")
    title = f"Gold of the best of n by a fitted reward, {draws} hidden draws"
    return Chart(title, "pressure: KL of best-of-n from the pool, nats", "gold, sd over the pool", lines, notes)


def resampled(gold: Floats) -> Floats:
    """(RESAMPLES, q) bootstrap means over draws."""
    rng = np.random.default_rng(SEED)
    return np.array([gold[rng.integers(0, len(gold), len(gold))].mean(axis=0) for _ in range(RESAMPLES)])


def turnover(kl: Floats, mean: Floats, means: Floats) -> str:
    """Where mean gold is highest, with a 95 % bootstrap interval, and what is lost from there to the strongest
    pressure."""
    lo, hi = np.quantile(kl[means.argmax(axis=1)], [0.025, 0.975])
    lost = means.max(axis=1) - means[:, -1]
    low, high = np.quantile(lost, [0.025, 0.975])
    at = f"highest at {kl[mean.argmax()]:.1f} nats [{lo:.1f}, {hi:.1f}]"
    return f"{at}; {mean.max() - mean[-1]:.2f} [{low:.2f}, {high:.2f}] of {mean.max():.2f} lost at {kl[-1]:.1f}"


def main(*, output: Path | None = None, draws: int = 200) -> None:
    show(chart(make("proxy/reward-model-v1"), draws), output)
