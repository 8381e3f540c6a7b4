"""One draw from a bank of real activations: a concept, a sample of texts, a fresh weak teacher, a secret rotation.

A rotation leaves the ceiling as it is, which the random tanh layer of the tiny models' draws does not.
It also leaves distances as they are, so a user of the bank can recognise its rows:
hidden rows must be private where a result is to certify anything (docs/tasks/w2s-bank.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Progress
from toprope.types import Draw
from toprope_tasks.w2s import draws, student
from toprope_tasks.w2s.bank.file import Bank, Concept, Labels

POOL, TEST = 1000, 1000
GOLD_LABELS = (60, 100, 150)  # what a teacher was trained on, drawn afresh
PRIOR = (0.3, 0.7)  # widest range of the share of class 1; narrower where a class has too few texts
SPARE = 2.0  # a class has this many times the texts that a draw takes of it, so that draws share less than half
TRIES = 50  # ways of dividing the origins that are tried for one draw
GAP, GAP_SE, FLOOR = 0.05, 5.0, 0.6  # a concept is admitted with at least this gap, in standard errors too, and floor


class Layer(NamedTuple):
    """Features of one layer, standardised per column, and the L2 of a student of this width."""

    x: NDArray[np.float32]
    l2: float


class Sampler:
    """Draws of the concepts of a bank.

    Texts of one origin, and equal texts, are never in two of the parts of a draw (gold labels, pool, test). `origins`
    (N,): numbers that these have in common.
    """

    def __init__(
        self, bank: Bank, labels: Labels, pool: int = POOL, test: int = TEST, gold: tuple[int, ...] = GOLD_LABELS
    ) -> None:
        """labels: (C, N). pool, test: texts of a draw. gold: numbers of labels that a teacher may have."""
        self.bank, self.labels, self.sizes, self.gold = bank, labels, (pool, test), gold
        self.origins = same_origin(bank)
        self._have = [[np.flatnonzero(label == c) for c in (0, 1)] for label in labels]
        self._strong = [Layer(standard(x), width_l2(x.shape[1])) for x in bank.strong.values()]
        self._weak = [np.asarray(standard(x), np.float64) for x in bank.weak.values()]

    def prior(self, concept: int) -> tuple[float, float] | None:
        """The range of the share of class 1 that the texts of a concept allow; None: too few texts."""
        need = SPARE * (max(self.gold) + sum(self.sizes))
        negative, positive = (len(rows) / need for rows in self._have[concept])
        low, high = max(PRIOR[0], 1 - negative), min(PRIOR[1], positive)
        return (low, high) if low <= high else None

    def draw(self, concept: int, rng: np.random.Generator) -> Draw:
        """One draw of a concept by its number in the bank. Raises UsageError if it has too few texts."""
        among = self.prior(concept)
        about = self.bank.manifest.concepts[concept].name
        if among is None:
            counts = [len(rows) for rows in self._have[concept]]
            raise UsageError(f"concept {about!r} has {counts[1]} texts and {counts[0]} others; see SPARE and PRIOR")
        share, gold = rng.uniform(*among), int(rng.choice(self.gold))
        rows = self._sample(concept, (gold, *self.sizes), share, rng)
        labels = [self.labels[concept, r] == 1 for r in rows]
        taught = self._teach(concept, rows, labels[0], rng)
        layer = self._strong[rng.integers(len(self._strong))]
        turn = rotation(layer.x.shape[1], rng)
        features = [layer.x[r] @ turn for r in rows[1:]]
        extra = {}
        if self.bank.margins is not None:
            extra["margins"] = draws.margins(self.bank.margins[rows[1]])
        if self.bank.groups is not None:
            extra["groups"] = np.unique(self.bank.groups[rows[1]], return_inverse=True)[1].astype(np.int32)
        return draws.assemble(features, labels[1:], taught, extra, rows[1:], rng, about, concept, layer.l2)

    def _teach(
        self, concept: int, rows: list[NDArray[np.int64]], gold: NDArray[np.bool_], rng: np.random.Generator
    ) -> list[NDArray[np.float64]]:
        """The teacher's probabilities on pool and test: the bank's own, or of a probe on the weak model's features."""
        if self.bank.weak_probs is not None:
            return [np.asarray(self.bank.weak_probs[concept, r], np.float64) for r in rows[1:]]
        weak = self._weak[rng.integers(len(self._weak))]
        teacher = student.newton(weak[rows[0]], gold, draws.TEACHER_L2)
        return [student.probe(teacher, weak[r]) for r in rows[1:]]

    def _sample(
        self, concept: int, sizes: tuple[int, ...], share: float, rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Row numbers of each part, shuffled, with the same share of class 1. Origins go to parts at random, in
        proportion to what the parts need, until every part has enough of both classes."""
        wanted = [(size - round(share * size), round(share * size)) for size in sizes]
        for _ in range(TRIES):
            part_of = rng.choice(len(sizes), self.origins.max() + 1, p=np.array(sizes) / sum(sizes))
            there = [
                [have[part_of[self.origins[have]] == i] for have in self._have[concept]] for i in range(len(sizes))
            ]
            if all(len(rows) >= n for part in zip(there, wanted, strict=True) for rows, n in zip(*part, strict=True)):
                return [
                    rng.permutation(
                        np.concatenate([rng.choice(rows, n, replace=False) for rows, n in zip(*part, strict=True)])
                    )
                    for part in zip(there, wanted, strict=True)
                ]
        raise UsageError(
            f"concept {self.bank.manifest.concepts[concept].name!r}: gold labels, pool and test cannot have "
            f"{wanted} texts of each class unless an origin is divided; expected more texts or smaller origins"
        )


def standard(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns with mean 0, all scaled so that the mean square is 1. Principal components keep their spectrum; columns
    of a model, some of which are a hundred times the others, were standardised one by one when the bank was made."""
    centred = x - x.mean(0)
    return np.asarray(centred / np.sqrt(np.mean(centred**2)), np.float32)


def rotation(width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(width, width) a uniformly random orthogonal matrix."""
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return np.asarray(q * np.sign(np.diag(r)), np.float32)


def width_l2(width: int) -> float:
    """L2 of the referee's student, about the one with which gold labels do best (`python -m studies w2s/width`).
    Up to 64 columns it is the tiny models' own, so that values compare."""
    return float(student.L2 * max(1.0, width / 64) ** 2.5)


def same_origin(bank: Bank) -> NDArray[np.int64]:
    """(N,) numbers from 0 that equal texts, too, have in common."""
    _, origin = np.unique(bank.origin, return_inverse=True)
    _, first, text = np.unique(bank.texts, return_index=True, return_inverse=True)
    merged = np.arange(origin.max() + 1)
    for row in np.flatnonzero(first[text] != np.arange(len(text))):  # equal texts: join their origins
        a, b = _root(merged, origin[row]), _root(merged, origin[first[text[row]]])
        merged[max(a, b)] = min(a, b)
    return np.unique([_root(merged, o) for o in origin], return_inverse=True)[1]


def _root(merged: NDArray[np.int64], i: int) -> int:
    while merged[i] != i:
        i = merged[i]
    return int(i)


def measured(sampler: Sampler, concept: int, count: int, rng: np.random.Generator) -> Concept:
    """What `count` draws of a concept show, for the bank's manifest; draws = 0 if it has too few texts."""
    about = sampler.bank.manifest.concepts[concept]
    if sampler.prior(concept) is None:
        return Concept(about.name, about.kind)
    found = [sampler.draw(concept, rng) for _ in range(count)]
    floor, ceiling = (np.array([getattr(d, side) for d in found]) for side in ("floor", "ceiling"))
    gap = ceiling - floor
    figures = [round(float(v), 4) for v in (floor.mean(), ceiling.mean(), gap.mean(), gap.std(ddof=1) / count**0.5)]
    return Concept(about.name, about.kind, count, *figures)


def measured_all(
    bank: Bank, labels: Labels, count: int, rng: np.random.Generator, progress: Progress = lambda *_: None
) -> list[Concept]:
    """What `count` draws of every concept show, in the order of the manifest."""
    sampler, found = Sampler(bank, labels), list[Concept]()
    for concept in range(len(labels)):
        found.append(measured(sampler, concept, count, rng))
        progress("measuring what draws of each concept show", (concept + 1) / len(labels))
    return found


def admitted(concept: Concept) -> bool:
    """Whether the gap is large enough to be told from nothing, and the teacher better than chance."""
    return concept.draws > 1 and concept.gap >= max(GAP, GAP_SE * concept.se) and concept.floor >= FLOOR
