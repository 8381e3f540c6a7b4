"""Cells: what a draw asks about. A cell = operations, a concept on the un-shown answer, gold labels, noise.

Candidate lists are fixed here, disjoint in instances between the visible and the hidden side; which of them are used is
decided by the admission rule on the shipped weights (studies/w2s/admission.py), recorded with its figures in cells.json
and, for the tier `mixed`, in mixed.json.

The tier `mixed` (`w2s/probe-v2`) has the concepts of `standard` and `hard` with several levels of noise. Clean states
of so small a model form ten tight clusters, one per digit, which activations of real models do not: methods best
on them fail on real ones. Noise gives a draw the neighbour purity and the ceiling of real banks; noise after the
transform (blur) drowns what lies in directions of low variance, as there; hard concepts and few labels give it their
weak teachers, whose errors cluster (docs/results/does-it-transfer.md).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope_tasks.w2s.corpus import Ints

USABLE = (0, 1, 2, 3, 6, 7, 8, 9)  # the strong model learns these; sum3 not at all, diff only half
LABELS = (200, 500, 1500)
RECORD = Path(__file__).with_name("cells.json")
MIXED = Path(__file__).with_name("mixed.json")
TIERS = {"standard": RECORD, "hard": RECORD, "mixed": MIXED}

OPERATIONS = {
    "visible": ("01236789", "0123", "239", "6789", "1369", "0268"),
    "hidden": ("128", "0189", "2367", "036", "12678", "0379"),
}
CONCEPTS = {
    ("standard", "visible"): (
        "set 3456789", "set 56789", "set 789", "set 234", "set 3456", "set 678", "set 345",
        "set 0189", "set 0167", "set 0459", "set 0678", "above mean",
    ),
    ("standard", "hidden"): (
        "set 23456789", "set 456789", "set 6789", "set 456", "set 567", "set 123", "set 2345",
        "set 0349", "set 2389", "set 0145", "set 1267", "set 0129", "above d2",
    ),
    ("hard", "visible"): ("set 0369", "set 1258", "above d4", "above d1"),
    ("hard", "hidden"): ("set 13579", "set 2357", "set 2679", "above d3"),
}  # fmt: skip


FEW = (60, 100, 150)  # gold labels that teachers of real banks are trained on
OTHER = (80, 120, 180)


class Level(NamedTuple):
    """One kind of cell of the tier `mixed`. tier: whose concepts. noise, blur: see `Cell`. labels: numbers of gold
    labels."""

    tier: str
    noise: float
    blur: float
    labels: tuple[int, ...]


LEVELS = {  # dev draws take turns over the visible ones; the hidden ones have other noise and other numbers of labels
    "visible": (
        Level("hard", 0.5, 0.0, FEW),
        Level("standard", 1.0, 0.7, FEW),
        Level("hard", 1.1, 0.0, FEW),
        Level("standard", 1.0, 0.7, FEW),
    ),
    "hidden": (
        Level("hard", 0.7, 0.1, OTHER),
        Level("standard", 0.8, 0.9, OTHER),
        Level("hard", 1.2, 0.3, OTHER),
        Level("standard", 1.3, 0.4, OTHER),
    ),
}


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """ops: digits naming operations of `corpus.OPS`; concept: see `holds`; labels: gold labels the teacher had; noise,
    blur: standard deviation of Gaussian noise on the strong states before the secret transform and on the features
    after it, in units of their own."""

    ops: str
    concept: str
    labels: int
    noise: float = 0.0
    blur: float = 0.0

    @property
    def name(self) -> str:
        """`ops/concept/labels`, and `/noise+blur` if there is any."""
        untidy = f"/{self.noise}+{self.blur}" if self.noise or self.blur else ""
        return f"{self.ops}/{self.concept}/{self.labels}{untidy}"


def holds(concept: str, answers: Ints, digits: Ints) -> NDArray[np.bool_]:
    """(n,) whether the concept holds: `set DDD` (answer is one of these), `above mean`, `above dK` (of the digits).

    Raises UsageError for a concept in no such form.
    """
    if match := re.fullmatch(r"set (\d+)", concept):
        return np.isin(answers, [int(c) for c in match[1]])
    if match := re.fullmatch(r"above d([1-5])", concept):
        return np.asarray(answers > digits[:, int(match[1]) - 1])
    if concept == "above mean":
        return np.asarray(answers > digits.mean(1))
    raise UsageError(f"concept {concept!r} is unknown; expected 'set DIGITS', 'above mean' or 'above dK', K in 1..5")


def candidates(tier: str, side: str) -> list[Cell]:
    """Every cell considered for a tier and side, admitted or not; in `mixed`, each at every level of the side."""
    levels = dict.fromkeys(LEVELS[side]) if tier == "mixed" else (Level(tier, 0.0, 0.0, LABELS),)
    return [
        Cell(ops, concept, labels, level.noise, level.blur)
        for level in levels
        for ops, concept, labels in itertools.product(OPERATIONS[side], CONCEPTS[level.tier, side], level.labels)
    ]


@cache
def admitted(tier: str, side: str) -> tuple[Cell, ...]:
    """The cells in use, in the recorded order: any first few are spread over operations and concepts, and the visible
    ones of `mixed` follow the rotation of levels."""
    record = json.loads(TIERS[tier].read_text())
    return tuple(msgspec.convert(row, Cell) for row in record[f"{tier}/{side}"])  # the figures of each are left out


def at(level: Level, side: str, cells: Iterable[Cell]) -> list[Cell]:
    """Those of the cells that are of a level of their side."""
    concepts, untidy = CONCEPTS[level.tier, side], (level.noise, level.blur)
    return [c for c in cells if c.concept in concepts and (c.noise, c.blur) == untidy]


def question(cell: Cell) -> int:
    """A number of its own for every (operations, concept) of the candidates, the same at every level."""
    return _questions()[cell.ops, cell.concept]


@cache
def _questions() -> dict[tuple[str, str], int]:
    asked = (pair for tier, side in CONCEPTS for pair in itertools.product(OPERATIONS[side], CONCEPTS[tier, side]))
    return {pair: number for number, pair in enumerate(asked)}


def random_run(rng: np.random.Generator) -> Cell:
    """A random cell of the runs tier: 2-8 usable operations, answers between two or three random cuts of 0..9."""
    ops = np.sort(rng.choice(USABLE, rng.integers(2, len(USABLE) + 1), replace=False))
    cuts = np.sort(rng.choice(np.arange(1, 10), rng.integers(2, 4), replace=False))
    inside = np.searchsorted(cuts, np.arange(10), side="right") % 2 == rng.integers(2)
    digits = "".join(str(d) for d in range(10) if inside[d])
    return Cell("".join(map(str, ops)), f"set {digits}", int(rng.choice(LABELS)))


def spread(cells: list[Cell], seed: int = 0) -> list[Cell]:
    """Reorder so that each next cell shares as little as possible with the ones before it (ties at random)."""
    rng = np.random.default_rng(seed)
    left = [cells[i] for i in rng.permutation(len(cells))]
    chosen: list[Cell] = []
    while left:
        best = min(left, key=lambda cell: _overlap(cell, chosen))
        left.remove(best)
        chosen.append(best)
    return chosen


def _overlap(cell: Cell, chosen: list[Cell]) -> int:
    """Concept counts three, operations two, labels one."""
    return sum(3 * (c.concept == cell.concept) + 2 * (c.ops == cell.ops) + (c.labels == cell.labels) for c in chosen)
