"""One draw: a sample of the bank, a teacher trained on few gold labels, a secret transform of the strong features.

The transform (`T5n`): a random tanh layer 96 -> 192 (inputs x 1.5, bias sd .7), then a random linear map to 64, fresh
for every draw. It keeps the landscape of methods, and unlike a rotation PCA or ICA cannot undo it, so directions
memorised from public weights do not help (docs/measurements/w2s.md, memorisation). Noise, in cells that have it, is
added before and after the transform, afresh in every draw.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.types import Draw, Floats
from toprope_tasks.w2s import student
from toprope_tasks.w2s.cells import Cell, holds
from toprope_tasks.w2s.states import StateBank

POOL, TEST = 1000, 1000
WIDE, OUT = 192, 64  # the transform's inner and outer width
PRIOR = (0.35, 0.65)  # range of the share of class 1, drawn afresh: no method may lean on a known prior
MIXED_PRIOR = (0.3, 0.7)  # of the tier `mixed`: that of draws from real banks
TEACHER_L2 = 1e-2
MARGIN_LEVELS = 8


class Gold(msgspec.Struct, frozen=True):
    """What only the scorer holds. basis: the pool in the student's coordinates."""

    basis: student.Basis
    test_features: NDArray[np.float32]
    test_labels: NDArray[np.bool_]
    pool_labels: NDArray[np.bool_]
    chunks: NDArray[np.int64]  # (m,) the shuffled order in which test rows are shown to a candidate's own student
    about: str  # the cell or concept
    rows: list[NDArray[np.int64]]  # the bank's rows of pool and test
    l2: float = student.L2


class Sampler:
    """Draws of any cell from one bank. Keeps the row numbers of each (operations, concept) it has met."""

    def __init__(self, bank: StateBank) -> None:
        self.bank = bank
        self._answers = bank.answers
        self._rows: dict[tuple[str, str], list[NDArray[np.int64]]] = {}

    def rows(self, cell: Cell) -> list[NDArray[np.int64]]:
        """[rows of class 0, rows of class 1] in the bank."""
        key = cell.ops, cell.concept
        if key not in self._rows:
            where = np.flatnonzero(np.isin(self.bank.ops, [int(c) for c in cell.ops]))
            positive = holds(cell.concept, self._answers[where], np.asarray(self.bank.digits)[where])
            self._rows[key] = [where[~positive], where[positive]]
        return self._rows[key]

    def draw(
        self,
        cell: Cell,
        rng: np.random.Generator,
        pool: int = POOL,
        test: int = TEST,
        *,
        prior: tuple[float, float] = PRIOR,
        group: int = 0,
    ) -> Draw:
        """One draw of a cell. prior: range of the share of class 1. group: of the draw, see `Draw`."""
        share = rng.uniform(*prior)
        rows, labels = self._sample(cell, (cell.labels, pool, test), share, rng)
        weak = [np.asarray(self.bank.weak[r], dtype=np.float64) for r in rows]
        teacher = student.newton(weak[0], labels[0], TEACHER_L2)
        change = transform(self.bank.strong.shape[1], rng)
        features = [apply(change, noisy(self.bank.strong[r], cell.noise, rng)) for r in rows[1:]]
        if cell.blur:
            features = blurred(features, cell.blur, rng)
        taught = [student.probe(teacher, w) for w in weak[1:]]
        extra = {"margins": margins(self.bank.sure[rows[1]])}
        return assemble(features, labels[1:], taught, extra, rows[1:], rng, cell.name, group)

    def _sample(
        self, cell: Cell, sizes: tuple[int, ...], prior: float, rng: np.random.Generator
    ) -> tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]:
        """Disjoint row numbers and labels of gold, pool and test, each shuffled, with the same share of class 1."""
        ones = [round(prior * size) for size in sizes]
        counts = [[size - one for size, one in zip(sizes, ones, strict=True)], ones]
        parts = []
        for have, want in zip(self.rows(cell), counts, strict=True):
            taken = have[rng.choice(len(have), sum(want), replace=False)]
            parts.append(np.split(taken, np.cumsum(want)[:-1]))
        rows, labels = [], []
        for zero, one in zip(*parts, strict=True):
            order = rng.permutation(len(zero) + len(one))
            rows.append(np.concatenate([zero, one])[order])
            labels.append(order >= len(zero))
        return rows, labels


def assemble(
    features: list[NDArray[np.float32]],
    labels: list[NDArray[np.bool_]],
    taught: list[Floats],
    extra: dict[str, NDArray[Any]],
    rows: list[NDArray[np.int64]],
    rng: np.random.Generator,
    about: str,
    group: int = 0,
    l2: float = student.L2,
) -> Draw:
    """A draw from [pool, test] rows: features (n, d), labels (n,) and the teacher's probabilities (n,) of each.

    extra: further public arrays. rows: their numbers in the bank. l2: of the referee's student. The floor is the
    teacher's accuracy on the test rows, the ceiling that of a student trained on the pool's labels.
    """
    base = student.basis(features[0])
    gold = student.fit(base, labels[0][None], np.ones((1, len(labels[0]))), l2)
    chunks = rng.permutation(len(labels[1]))
    private = Gold(base, features[1], labels[1], labels[0], chunks, about, rows, l2)
    public = {"pool_features": features[0], "pool_weak_probs": taught[0].astype(np.float32), **extra}
    floor = np.mean((taught[1] > 0.5) == labels[1])
    ceiling = np.mean((gold.probabilities(base, features[1])[0] > 0.5) == labels[1])
    return Draw(public, private, float(floor), float(ceiling), group)


def noisy(x: NDArray[np.float32], noise: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Standardised states with Gaussian noise of this standard deviation, scaled back to a standard deviation of 1."""
    if not noise:
        return x
    rough = x + np.float32(noise) * rng.standard_normal(x.shape, dtype=np.float32)
    return np.asarray(rough / np.float32(np.hypot(1, noise)), dtype=np.float32)


def blurred(parts: list[NDArray[np.float32]], blur: float, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Features of pool and test with Gaussian noise, of `blur` times the root mean square deviation of the pool's."""
    sd = np.float32(blur * np.sqrt(np.mean(parts[0].var(0))))
    return [x + sd * rng.standard_normal(x.shape, dtype=np.float32) for x in parts]


Transform = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def transform(width: int, rng: np.random.Generator) -> Transform:
    """A fresh secret (inner, bias, outer) for standardised features of this width."""
    inner = rng.standard_normal((width, WIDE), dtype=np.float32) * np.float32(1.5 / np.sqrt(width))
    bias = rng.standard_normal(WIDE, dtype=np.float32) * np.float32(0.7)
    outer = rng.standard_normal((WIDE, OUT), dtype=np.float32) / np.float32(np.sqrt(WIDE))
    return inner, bias, outer


def apply(change: Transform, x: NDArray[Any]) -> NDArray[np.float32]:
    """(n, 64) transformed features."""
    inner, bias, outer = change
    return np.asarray(np.tanh(x @ inner + bias) @ outer, dtype=np.float32)


def margins(sure: NDArray[Any]) -> NDArray[np.float32]:
    """How sure the strong model is of the answer it does not say, as ranks in eighths of the pool, in [-1, 1].

    Concept-free, hence zero-shot. Coarse, because the exact number would reveal the prompt to users of the weights.
    """
    ranks = np.argsort(np.argsort(sure, kind="stable"), kind="stable")
    eighth = ranks * MARGIN_LEVELS // len(ranks)
    return np.asarray(2 * eighth / (MARGIN_LEVELS - 1) - 1, dtype=np.float32)
