"""Glosses of WordNet's nouns. A concept is a hypernym with all below it, against all others or those of a parent."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from studies.w2s.banks.source import Concept, Source, distinct, enough, filled
from toprope_tasks.w2s.lora.problem import without_examples

EACH = 1350  # glosses wanted of a hypernym: a few more than its draws need
WORDS = range(4, 25)  # in a gloss without its examples
NOTICE = "WordNet licence, of which every copy keeps the notice. The bank holds activations and facts, no text. "


class _Synset(NamedTuple):
    word: str
    gloss: str
    above: list[str]


def source(folder: Path, rng: random.Random) -> Source:
    """folder: where the .deb of wordnet-base is unpacked."""
    synsets = _read(folder / "usr/share/wordnet/data.noun")
    usable, seen = [], set()
    for key, s in synsets.items():
        if len(s.gloss.split()) in WORDS and s.gloss not in seen:
            usable.append(key)
            seen.add(s.gloss)
    chain: dict[str, frozenset[str]] = {}
    below: dict[str, set[int]] = defaultdict(set)
    for row, key in enumerate(usable):
        for above in _above(key, synsets, chain):
            below[above].add(row)
    wide = {k: frozenset(rows) for k, rows in below.items() if len(rows) >= EACH}
    chosen = filled(wide.values(), EACH, rng)
    new = {row: i for i, row in enumerate(chosen)}
    sets = {k: frozenset(new[r] for r in rows if r in new) for k, rows in wide.items()}
    return Source(
        "WordNet noun glosses",
        [synsets[usable[row]].gloss for row in chosen],
        [usable[row] for row in chosen],
        distinct(_concepts(sets, synsets, chain, frozenset(range(len(chosen))))),
        "glosses of WordNet 3.0 nouns (Debian package wordnet-base 1:3.0-37), labels from its hypernyms",
        NOTICE + _licence(folder / "usr/share/doc/wordnet-base/copyright"),
    )


def _licence(path: Path) -> str:
    """The licence's own words, from the package."""
    (text,) = re.findall(r"^License: WordNet3\.0\n(.*?)\n\n", path.read_text(encoding="utf-8"), re.M | re.S)
    return " ".join(word for word in text.split() if word != ".")


def _concepts(
    sets: dict[str, frozenset[int]], synsets: dict[str, _Synset], chain: dict[str, frozenset[str]], all_: frozenset[int]
) -> dict[str, Concept]:
    """First each hypernym against all others; then against the others of its nearest hypernym with enough of them."""
    order = sorted(sets, key=lambda k: (-len(sets[k]), k))
    named: dict[str, str] = {}
    for k in order:  # a word of several synsets is that of its largest, then numbered
        word, same = synsets[k].word, sum(synsets[k].word == synsets[o].word for o in named)
        named[k] = f"{word} {same + 1}" if same else word
    wide = {named[k]: Concept("hypernym", sets[k], all_) for k in order}
    narrow = {}
    for k in order:
        parents = [p for p in chain[k] if p in sets and p != k and enough(len(sets[k]), len(sets[p]))]
        if parents:
            nearest = min(parents, key=lambda p: (len(sets[p]), p))
            if len(sets[nearest]) < 0.8 * len(all_):  # else it is the first kind again
                name = f"{named[k]} among {named[nearest]}"
                narrow[name] = Concept("hypernym within a hypernym", sets[k], sets[nearest])
    return wide | narrow


def _above(key: str, synsets: dict[str, _Synset], known: dict[str, frozenset[str]]) -> frozenset[str]:
    if key not in known:
        known[key] = frozenset({key}).union(*(_above(p, synsets, known) for p in synsets[key].above))
    return known[key]


def _read(path: Path) -> dict[str, _Synset]:
    """Offset -> synset, from data.noun; its form is described in wndb(5WN)."""
    found = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        left, _, gloss = line.partition("|")
        field = left.split()
        words = int(field[3], 16)
        at = 5 + 2 * words
        pointers = [field[at + 4 * i : at + 4 * i + 2] for i in range(int(field[at - 1]))]
        above = [target for kind, target in pointers if kind in ("@", "@i")]
        found[field[0]] = _Synset(field[4].replace("_", " "), without_examples(gloss), above)
    return found
