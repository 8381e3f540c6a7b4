"""The learned attack: a small network trained on simulated draws of what the attacker knows, predicting gold by row.

Inputs of a row: what honest methods say about it, and statistics that no linear map of the features changes (whitened
norms, elementwise powers of the whitened Gram matrix against labels, neighbours' votes). So whatever is regular in the
lineage is learned as a rule instead of remembered as a direction, and the secret transform does not help against it.
Trained on public material only it is a legitimate method; what it gains from hidden weights is memorisation.

Two networks: one for pool rows, whose answers become targets for the referee's student, and one for test rows, which
sees the pool and one test row at a time, as `fit` and `predict` would.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.tasks.trusted import load
from toprope.types import Draw, Floats, Json
from toprope_tasks.w2s import student
from toprope_tasks.w2s.task import DEMO, WeakToStrong

Rows = NDArray[np.float32]
RANKS = (64, 16)  # whitened components: all of them, and only the large ones
NEAR = 20
HIDDEN, BATCH, RATE, DECAY = 64, 1000, 2e-3, 1e-4


class StackerView(msgspec.Struct, frozen=True):
    """One draw as the network sees it. pool, test: (n, p) inputs.

    honest: (k, n) targets of the methods, champion first. accuracies: (k,) of the referee's student on those targets.
    """

    pool: Rows
    test: Rows
    honest: Floats
    accuracies: Floats


def look(draw: Draw, methods: Sequence[Mapping[str, Json]]) -> StackerView:
    """Run the honest methods on a draw and gather the inputs; gold serves the accuracies only."""
    gold, weak = draw.private, draw.public["pool_weak_probs"].astype(np.float64)
    answers = [_answer(draw, params) for params in methods]
    targets, weights = (np.array(part, dtype=np.float64) for part in zip(*answers, strict=True))
    probes = student.fit(gold.basis, targets, weights)
    on_pool = gold.basis.rows.astype(np.float64) @ probes.coef.T + probes.bias  # (n, k)
    p = probes.probabilities(gold.basis, gold.test_features)
    on_test = _logit(p).T
    labels = np.column_stack([2 * weak - 1, 2 * targets[0] - 1, np.tanh(on_pool.mean(1) / 2)]).astype(np.float32)
    whole = [weak.mean(), np.abs(2 * weak - 1).mean(), np.mean((weak > 0.5) == (targets[0] > 0.5))]
    pool, test = [_logit(weak)[:, None], _logit(targets).T, on_pool], [on_test]
    for rank in RANKS:
        a, b = _white(draw, rank)
        inside, outside = statistics(a, None, labels), statistics(a, b, labels)
        mean, sd = inside.mean(0), inside.std(0) + 1e-6
        pool.append((inside - mean) / sd)
        test.append((outside - mean) / sd)
    return StackerView(
        _columns(pool, whole), _columns(test, whole), targets, np.mean((p > 0.5) == gold.test_labels, axis=1)
    )


@cache
def starter() -> Callable[..., tuple[Rows, Rows]]:
    """`targets` of the shipped starter."""
    targets: Callable[..., tuple[Rows, Rows]] = load(WeakToStrong("w2s/probe-v1", DEMO).starter()).targets
    return targets


def _answer(draw: Draw, params: Mapping[str, Json]) -> tuple[Rows, Rows]:
    public, rng = draw.public, np.random.default_rng(0)
    return starter()(
        public["pool_features"], public["pool_weak_probs"], params=params, rng=rng, margins=public.get("margins")
    )


def _logit(p: Floats) -> Floats:
    return np.asarray(np.log(np.clip(p, 1e-3, 1) / np.clip(1 - p, 1e-3, 1)), dtype=np.float64)


def _columns(parts: list[Floats], whole: list[float]) -> Rows:
    """Side by side, the draw's own numbers repeated on each row, outliers cut."""
    n = len(parts[0])
    every = np.column_stack([*parts, np.tile(whole, (n, 1))])
    return np.asarray(np.clip(every, -8, 8), dtype=np.float32)


def _white(draw: Draw, rank: int) -> tuple[Rows, Rows]:
    """(n, rank) pool and (m, rank) test rows in the pool's largest components, each scaled to mean square one."""
    base: student.Basis = draw.private.basis
    order = np.argsort(-base.energy)[:rank]
    scale = 1 / np.sqrt(base.energy[order])
    pair = base.rows[:, order] * scale, base.apply(draw.private.test_features)[:, order] * scale
    return pair[0].astype(np.float32), pair[1].astype(np.float32)


def statistics(pool: Rows, rows: Rows | None, labels: Rows) -> Rows:
    """(n, 3 + 5 c) invariants of rows against labelled white pool rows; rows None: the pool's own, each without itself.

    labels: (pool, c), in [-1, 1]. Per row: norm, two moments of its Gram row; per label column: its Gram row to the
    powers 1, 2, 3 against the labels, a Gaussian vote, and the vote of the NEAR nearest.
    """
    own, at = rows is None, pool if rows is None else rows
    gram = at @ pool.T / np.float32(pool.shape[1])
    norm, others = np.mean(at * at, 1), np.mean(pool * pool, 1)
    distance = norm[:, None] + others - 2 * gram
    if own:
        np.fill_diagonal(gram, 0)
        np.fill_diagonal(distance, np.inf)
    square = gram * gram
    cube = square * gram
    kernel = np.exp(distance * np.float32(-4))  # distances are about 2, so this looks at the nearer half
    near = np.argpartition(distance, NEAR, axis=1)[:, :NEAR]
    total = kernel.sum(1, keepdims=True) + np.float32(1e-12)
    votes = [gram @ labels, square @ labels, cube @ labels, kernel @ labels / total, labels[near].mean(1)]
    return np.column_stack([norm, square.sum(1), cube.sum(1), *votes]).astype(np.float32)


class Network(msgspec.Struct, frozen=True):
    """layers: (weights, bias) of two ReLU layers and an output; mean, sd: (p,) of the inputs it was trained on."""

    layers: list[tuple[Rows, Rows]]
    mean: Rows
    sd: Rows

    def logits(self, x: Rows) -> Floats:
        """(n,) logits of class 1."""
        return np.asarray(_forward(self.layers, (x - self.mean) / self.sd)[-1][:, 0], dtype=np.float64)


def train(x: Rows, gold: NDArray[np.bool_], seed: int, epochs: int, width: int = HIDDEN) -> Network:
    """Fit (n, p) inputs to gold by cross-entropy: Adam, cosine to zero, decoupled weight decay."""
    rng = np.random.default_rng(seed)
    mean, sd = x.mean(0), x.std(0) + np.float32(1e-3)
    sizes = [x.shape[1], width, width, 1]
    flat = [part for a, b in itertools.pairwise(sizes) for part in (_start(rng, a, b), np.zeros(b, np.float32))]
    update, steps = adam(flat), epochs * max(1, len(x) // BATCH)
    for step in range(steps):
        if step % max(1, len(x) // BATCH) == 0:
            order = rng.permutation(len(x))
        rows = order[(step * BATCH) % max(BATCH, len(x) - BATCH + 1) :][:BATCH]
        slopes = _slopes(_pairs(flat), (x[rows] - mean) / sd, gold[rows])
        update(slopes, RATE * 0.5 * (1 + np.cos(np.pi * step / steps)))
    return Network(_pairs(flat), mean, sd)


def _start(rng: np.random.Generator, a: int, b: int) -> Rows:
    return rng.standard_normal((a, b), dtype=np.float32) * np.float32(np.sqrt(2 / a) if b > 1 else 0.1 / np.sqrt(a))


def _pairs(flat: list[Rows]) -> list[tuple[Rows, Rows]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _forward(layers: list[tuple[Rows, Rows]], x: Rows) -> list[Rows]:
    """Inputs of every layer, then the output."""
    every = [x]
    for i, (weights, bias) in enumerate(layers):
        x = x @ weights + bias
        x = np.maximum(x, 0) if i < len(layers) - 1 else x
        every.append(x)
    return every


def _slopes(layers: list[tuple[Rows, Rows]], x: Rows, gold: NDArray[np.bool_]) -> list[Rows]:
    every = _forward(layers, x)
    back = (0.5 * (1 + np.tanh(every[-1] / 2)) - gold[:, None]).astype(np.float32) / np.float32(len(x))
    found: list[Rows] = []
    for (weights, _), below in zip(reversed(layers), reversed(every[:-1]), strict=True):
        found = [below.T @ back, back.sum(0), *found]
        back = (back @ weights.T) * (below > 0)
    return found


def adam(parameters: list[Rows]) -> Callable[[list[Rows], float], None]:
    """A step of Adam (Kingma & Ba 2015; betas .9, .999) in place, with decoupled decay."""
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    count = 0

    def update(slopes: list[Rows], rate: float) -> None:
        nonlocal count
        count += 1
        for p, slope, m, v in zip(parameters, slopes, first, second, strict=True):
            m += 0.1 * (slope - m)
            v += 0.001 * (slope * slope - v)
            p -= rate * ((m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8) + DECAY * p)

    return update
