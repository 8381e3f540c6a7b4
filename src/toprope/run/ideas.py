"""How different a run's ideas are: families of candidates by their code, their entropy over time, complexity.

A candidate's words are the names, numbers and signs of its Python. It joins the first family whose founder shares
enough of them (Jaccard index); otherwise it founds a family. The method is crude, cheap and deterministic: it measures
whether a team repeats itself, not which author had an idea.

The text is hostile. One pattern reads it in one pass; Python's parser is not used, because a text can make its time and
memory grow. At most READ bytes are read, and at most KEPT words are kept.
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
READ = 256 << 10  # bytes of a candidate's Python that are read
KEPT = 128  # words of a candidate that are compared: those with the smallest hashes
FAMILIES = 500  # that can found; candidates like none of these all share one more number

# Every branch matches once it has begun, to the end of the text if necessary, so that no byte is read twice.
TOKEN = re.compile(
    rb"(?P<gap>\s+|#[^\n]*)"
    rb"|(?P<text>\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+(?:\"\"\")?|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
    rb"|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?)"
    rb"|(?P<word>[^\W\d]\w*|\d[\w.]*|.)",
    re.DOTALL,
)


class Idea(NamedTuple):
    """A summary of a candidate's code. words: hashes of some of its words, the same ones for equal code. complexity:
    number of its tokens, without strings and comments."""

    words: frozenset[int]
    complexity: int


def idea(candidate: Candidate) -> Idea:
    """The summary of one candidate. Each parameter counts as a word together with its value."""
    found = {f"{k}={v!r}".encode() for k, v in candidate.params.items()}
    tokens = 0
    for word in _tokens(_python(candidate)):
        tokens += 1
        found.add(word[:80])
    return Idea(frozenset(sorted(map(_hash, found))[:KEPT]), tokens)


def families(ideas: Sequence[Idea]) -> list[int]:
    """The family number of each idea, counted from 0 in order of appearance."""
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
    """Whether the Jaccard index is at least ALIKE: estimated from the smallest hashes (Broder 1997), exact for few
    words."""
    both = a & b
    of = min(KEPT, len(a) + len(b) - len(both))
    if len(both) < ALIKE * of:  # nearly always, and then the sort is not needed
        return False
    return sum(h in both for h in sorted(a | b)[:of]) >= ALIKE * of


def _hash(word: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "big")


def _tokens(text: bytes) -> list[bytes]:
    return [m.group() for m in TOKEN.finditer(text) if m.lastgroup == "word"]


def _python(candidate: Candidate) -> bytes:
    files = (data for name, data in sorted(candidate.tree.files.items()) if name.endswith(".py"))
    return b"\n".join(files)[:READ]
