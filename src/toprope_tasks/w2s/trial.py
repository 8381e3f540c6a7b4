"""Runs the shipped method grammar directly, in this process: for tables, tuning and admission of our own code only.

Never for other people's candidates: those go through the sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from toprope.types import Draw, Floats, Json
from toprope_tasks.w2s import cells, student
from toprope_tasks.w2s.bank import LINES_PER_OP, open_bank
from toprope_tasks.w2s.draws import Sampler

Targets = Callable[..., tuple[Any, Any]]


@cache
def starter() -> Targets:
    """`targets` of the shipped starter."""
    folder = str(Path(__file__).parent / "starter")
    sys.path.insert(0, folder)
    try:
        function: Targets = import_module("solution").targets
    finally:
        sys.path.remove(folder)
        sys.modules.pop("solution", None)
    return function


def accuracy(draw: Draw, params: Mapping[str, Json], seed: int = 0) -> float:
    """Test accuracy of the grammar's point `params` on one draw."""
    rng = np.random.default_rng(seed)
    public = draw.public
    t, u = starter()(
        public["pool_features"], public["pool_weak_probs"], params=params, rng=rng, margins=public["margins"]
    )
    gold = draw.private
    p = student.fit(gold.basis, t[None], u[None]).probabilities(gold.basis, gold.test_features)[0]
    return float(np.mean((p > 0.5) == gold.test_labels))


def accuracies(some: Iterable[Draw], params: Mapping[str, Json], seed: int = 0) -> Floats:
    """(n,) accuracies over draws."""
    return np.array([accuracy(draw, params, seed) for draw in some])


def pgr(scores: Floats, some: list[Draw]) -> tuple[float, float]:
    """Performance gap recovered as a ratio of sums, and its standard error by the delta method over draws."""
    gain = scores - np.array([d.floor for d in some])
    gap = np.array([d.ceiling - d.floor for d in some])
    ratio = float(gain.sum() / gap.sum())
    error = float(np.std(gain - ratio * gap, ddof=1) / np.sqrt(len(gap)) / gap.mean())
    return ratio, error


def simulate(side: str, weights: Sequence[Path], count: int, seed: int, lines: int = LINES_PER_OP) -> Iterator[Draw]:
    """Draws of every standard cell of a side in turn, weights alternating."""
    rng = np.random.default_rng([seed, count])
    samplers = [Sampler(open_bank(path, lambda what, done: None, lines)) for path in weights]
    order = rng.permutation(len(cells.admitted("standard", side)))
    for i in range(count):
        yield samplers[i % len(samplers)].draw(cells.admitted("standard", side)[order[i % len(order)]], rng)
