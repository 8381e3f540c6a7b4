"""What a source of texts gives: texts, and facts about them as binary concepts; and which concepts it offers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from toprope_tasks.w2s.bank.draws import GOLD_LABELS, POOL, PRIOR, SPARE, TEST

Rows = frozenset[int]


class Concept(NamedTuple):
    """`yes` against the rest of `among`, both sets of row numbers. kind: how the labels came about."""

    kind: str
    yes: Rows
    among: Rows


class Source(NamedTuple):
    """origins: rows of one origin are never in two parts of a draw. notice: of the licence. fetch: the commands that
    bring the packages which it is read from."""

    name: str
    texts: list[str]
    origins: list[str]
    concepts: Mapping[str, Concept]
    about: str
    licence: str


def enough(yes: int, among: int) -> bool:
    """Whether a draw takes less than half of the texts of each class, at some share of class 1 that draws may have."""
    need = SPARE * (max(GOLD_LABELS) + POOL + TEST)
    return among >= need and min(yes, among - yes) >= PRIOR[0] * need


def distinct(concepts: Mapping[str, Concept], most_alike: float = 0.9) -> dict[str, Concept]:
    """Those with enough texts that do not repeat an earlier one: both classes alike (share of the union in common)."""
    kept: dict[str, Concept] = {}
    for name, c in concepts.items():
        if enough(len(c.yes), len(c.among)) and all(_alike(c, k) < most_alike for k in kept.values()):
            kept[name] = c
    return kept


def _alike(a: Concept, b: Concept) -> float:
    pairs = ((a.yes, b.yes), (a.among - a.yes, b.among - b.yes))
    swapped = ((a.yes, b.among - b.yes), (a.among - a.yes, b.yes))
    return max(min(len(x & y) / len(x | y) for x, y in way) for way in (pairs, swapped))


def filled(sets: Iterable[Rows], each: int, rng: random.Random) -> list[int]:
    """Few row numbers that hold `each` of every set, from the smallest set to the largest: a small set is often part
    of a large one. Sorted."""
    chosen: set[int] = set()
    for rows in sorted(sets, key=lambda rows: (len(rows), sorted(rows)[:1])):
        rest = sorted(rows - chosen)
        chosen.update(rng.sample(rest, max(0, min(len(rest), each - len(rows & chosen)))))
    return sorted(chosen)


def write(source: Source, path: Path) -> None:
    """The JSONL that `toprope extract --data` reads."""
    with path.open("w", encoding="utf-8") as out:
        for i, (text, origin) in enumerate(zip(source.texts, source.origins, strict=True)):
            labels = {name: int(i in c.yes) for name, c in source.concepts.items() if i in c.among}
            out.write(json.dumps({"text": text, "origin": origin, "labels": labels}) + "\n")
