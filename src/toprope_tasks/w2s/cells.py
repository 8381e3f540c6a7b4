"""Cells: what a draw asks about. A cell = operations, a concept on the un-shown answer, number of gold labels.

Candidate lists are fixed here, disjoint in instances between the visible and the hidden side; which of them are used is
decided by the admission rule on the shipped weights (`admission`), recorded with its figures in cells.json.
"""

from __future__ import annotations

import itertools
import json
import re
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope_tasks.w2s.corpus import Ints

USABLE = (0, 1, 2, 3, 6, 7, 8, 9)  # the strong model learns these; sum3 not at all, diff only half
LABELS = (200, 500, 1500)
RECORD = Path(__file__).with_name("cells.json")

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


class Cell(msgspec.Struct, frozen=True):
    """ops: digits naming operations of `corpus.OPS`; concept: see `holds`; labels: gold labels the teacher had."""

    ops: str
    concept: str
    labels: int

    @property
    def name(self) -> str:
        return f"{self.ops}/{self.concept}/{self.labels}"


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
    """Every cell considered for a tier and side, admitted or not."""
    return [Cell(*cell) for cell in itertools.product(OPERATIONS[side], CONCEPTS[tier, side], LABELS)]


@cache
def admitted(tier: str, side: str) -> tuple[Cell, ...]:
    """The cells in use, in the recorded order: any first few are spread over operations and concepts."""
    record = json.loads(RECORD.read_text())
    return tuple(Cell(c["ops"], c["concept"], c["labels"]) for c in record[f"{tier}/{side}"])


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
