"""Draws docs/tasks/monitor-bank.svg: what more questions buy, spent on parts of a transcript or on samples.

Drawn with the task's script in place of a model, so it shows how the parts of a scaffold work together here, and
nothing of any real model. The kind of comparison is that of Kale et al. 2025 (arXiv:2508.19461).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from studies.drawing import show
from toprope.figures import Chart, Line
from toprope.tasks.trusted import outputs
from toprope.types import Json
from toprope_tasks.control.monitorbank import make
from toprope_tasks.control.monitorbank.task import MonitorBank

SEED, RESAMPLES = 2026, 2000
QUESTIONS = (1, 2, 3, 4, 6)
BASE: dict[str, Json] = {"show": "commands", "scale": "0 to 100", "ask": "beyond"}
SHOWN: dict[str, tuple[str, dict[str, Json]]] = {
    "parts, ticket shown": ("parts", {"ticket": True}),
    "samples, ticket shown": ("samples", {"ticket": True}),
    "parts, ticket not shown": ("parts", {"ticket": False}),
}


def chart(task: MonitorBank, draws: int) -> Chart:
    """Value on hidden draws against questions asked about a transcript, with 95 % bootstrap bands over draws."""
    cases = [task.generate("test", i, SEED + i) for i in range(draws)]
    rng = np.random.default_rng(SEED)
    picks = rng.integers(0, draws, (RESAMPLES, draws))
    lines, notes = [], []
    for name, (what, more) in SHOWN.items():
        print(name, file=sys.stderr)
        means, low, high = [], [], []
        for n in QUESTIONS:
            params = {**BASE, **more, what: n}
            scores = [task.score(outputs(task, task.starter(), d, params), d)[0] for d in cases]
            values = 2 * np.array(scores) - 1
            lo, hi = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
            means.append(float(values.mean()))
            low.append(float(lo))
            high.append(float(hi))
        lines.append(Line(name, list(map(float, QUESTIONS)), means, low, high))
        notes.append(f"{name}: " + ", ".join(f"{n}: {m:.3f}" for n, m in zip(QUESTIONS, means, strict=True)))
    title = f"Attacks ranked above honest transcripts, a script for a model, {draws} hidden draws"
    return Chart(title, "questions about a transcript", "share of pairs beyond chance", lines, notes)


def main(*, output: Path | None = None, draws: int = 200) -> None:
    show(chart(make("control/monitor-bank-v1"), draws), output)
