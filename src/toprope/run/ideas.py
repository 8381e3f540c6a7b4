"""How different a run's ideas are: families of candidates by their code, their entropy over time, complexity.

A candidate's words are the names, numbers and signs of its Python; it belongs to the first family whose founder shares
enough of them (Jaccard), else it founds one. Crude, cheap and the same for everybody: a measure of whether a team
repeats itself, not of who had an idea.

The text is an opponent's. It is read by one pattern in one pass, never by Python's parser, whose time and memory a text
can choose; only so much of it is read, and only so many words are kept.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from toprope.types import Candidate

ALIKE = 0.7  # share of words in common from which two candidates are one idea
WINDOW = 16  # experiments over which entropy is taken
READ = 256 << 10  # bytes of a candidate's Python that are looked at
KEPT = 128  # words of a candidate that are compared: those of the smallest hashes
FAMILIES = 500  # that are told apart; what is like none of them is one more

# Every branch matches wherever it begins, to the end of the text if need be, so that nothing is read twice.
TOKEN = re.compile(
    rb"(?P<gap>\s+|#[^\n]*)"
    rb"|(?P<text>\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+(?:\"\"\")?|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
    rb"|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?)"
    rb"|(?P<word>[^\W\d]\w*|\d[\w.]*|.)",
    re.DOTALL,
)


class Idea(NamedTuple):
    """What is known of a candidate's code. words: hashes of some of its words, the same ones for equal code.
    complexity: number of its tokens, texts and comments left out."""

    words: frozenset[int]
    complexity: int


def idea(candidate: Candidate) -> Idea:
    """Read once for each candidate; parameters count with their values."""
    found = {f"{k}={v!r}".encode() for k, v in candidate.params.items()}
    tokens = 0
    for word in _tokens(_python(candidate)):
        tokens += 1
        found.add(word[:80])
    return Idea(frozenset(sorted(map(_hash, found))[:KEPT]), tokens)


def families(ideas: Sequence[Idea]) -> list[int]:
    """Number of each one's family, in order of appearance."""
    founders: list[frozenset[int]] = []
    known: dict[frozenset[int], int] = {}
    for words, _ in ideas:
        if words not in known:
            known[words] = at = next((i for i, f in enumerate(founders) if _alike(words, f)), len(founders))
            if at == len(founders) < FAMILIES:
                founders.append(words)
    return [known[words] for words, _ in ideas]


def entropy(numbers: Sequence[int], window: int = WINDOW) -> list[float]:
    """Shannon entropy, in bits, of the families of the last `window` experiments, after each experiment."""
    return [_bits(numbers[max(0, i + 1 - window) : i + 1]) for i in range(len(numbers))]


def _bits(some: Sequence[int]) -> float:
    shares = [n / len(some) for n in Counter(some).values()]
    return -sum(p * math.log2(p) for p in shares) + 0.0  # no minus zero


def _alike(a: frozenset[int], b: frozenset[int]) -> bool:
    """Is Jaccard's index large? Estimated from the smallest hashes of both (Broder 1997), exact for few words."""
    both = a & b
    of = min(KEPT, len(a) + len(b) - len(both))
    if len(both) < ALIKE * of:  # nearly always: no need to look which are the smallest
        return False
    return sum(h in both for h in sorted(a | b)[:of]) >= ALIKE * of


def _hash(word: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "big")


def _tokens(text: bytes) -> list[bytes]:
    return [m.group() for m in TOKEN.finditer(text) if m.lastgroup == "word"]


def _python(candidate: Candidate) -> bytes:
    files = (data for name, data in sorted(candidate.tree.files.items()) if name.endswith(".py"))
    return b"\n".join(files)[:READ]
