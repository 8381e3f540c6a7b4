"""Verses of the King James Bible. A concept is where a verse stands: in which part of the canon, or in which of two."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

from studies.w2s.banks.source import Concept, Source, distinct, filled

EACH, MOST = 1350, 18_000  # verses wanted of a part of the canon, and of all
WORDS = range(6, 61)
NOTICE = (
    "King James Version, whose copyright is expired (Debian package bible-kjv-text says so). The bank holds "
    "activations and facts, no text"
)
PARTS = {  # first and last book
    "Law": ("Ge", "Deu"),
    "History": ("Josh", "Est"),
    "Poetry": ("Job", "SSol"),
    "Prophets": ("Isa", "Mal"),
    "Gospels": ("Mat", "John"),
    "Acts to Revelation": ("Acts", "Rev"),
    "Old Testament": ("Ge", "Mal"),
    "Genesis": ("Ge", "Ge"),
    "Leviticus to Deuteronomy": ("Lev", "Deu"),
    "Joshua to Ruth": ("Josh", "Ruth"),
    "Samuel and Kings": ("1Sm", "2Ki"),
    "Chronicles": ("1Chr", "2Chr"),
    "Psalms": ("Psa", "Psa"),
    "Proverbs to Song of Solomon": ("Prv", "SSol"),
    "Isaiah": ("Isa", "Isa"),
    "Jeremiah and Lamentations": ("Jer", "Lam"),
    "Ezekiel to Malachi": ("Eze", "Mal"),
    "Letters": ("Rom", "Jude"),
    "Luke and John": ("Luke", "John"),
}
CONTRASTS = 6  # the first so many parts, which share no book, are told apart in pairs


def source(path: Path, rng: random.Random) -> Source:
    """path: what `bible -f -l2000 ge1:1-rev22:21` of bible-kjv printed, a verse a line."""
    found = []
    for line in path.read_text(encoding="latin-1").splitlines():
        place, _, text = line.partition(" ")
        chapter = place.partition(":")[0]
        if len(text.split()) in WORDS:
            found.append((text, chapter, chapter.rstrip("0123456789")))
    number = {book: i for i, book in enumerate(dict.fromkeys(row[2] for row in found))}  # in the order of the canon
    sets = {
        name: frozenset(i for i, row in enumerate(found) if number[first] <= number[row[2]] <= number[last])
        for name, (first, last) in PARTS.items()
    }
    chosen = filled(sets.values(), EACH, rng)
    rest = sorted(set(range(len(found))) - set(chosen))
    chosen = sorted(chosen + rng.sample(rest, max(0, min(len(rest), MOST - len(chosen)))))
    new = {row: i for i, row in enumerate(chosen)}
    parts = {name: frozenset(new[r] for r in rows if r in new) for name, rows in sets.items()}
    all_ = frozenset(range(len(chosen)))
    concepts = {name: Concept("part of a canon", rows, all_) for name, rows in parts.items()}
    for a, b in combinations(list(parts)[:CONTRASTS], 2):
        concepts[f"{a}, not {b}"] = Concept("one part of a canon or another", parts[a], parts[a] | parts[b])
    for a, b in combinations(parts, 2):
        inner, outer = sorted((a, b), key=lambda name: len(parts[name]))
        if parts[inner] < parts[outer]:
            concepts[f"{inner} among {outer}"] = Concept("part within a part", parts[inner], parts[outer])
    return Source(
        "King James verses",
        [found[row][0] for row in chosen],
        [found[row][1] for row in chosen],
        distinct(concepts),
        "verses of the King James Bible (Debian packages bible-kjv-text and bible-kjv), labels from their books",
        NOTICE,
    )
