"""Families of ideas, their entropy, complexity: small cases that can be counted by hand, and texts made to be slow."""

import math

import pytest

from toprope.run import ideas
from toprope.types import Candidate, Tree


def made(source, **params):
    data = source if isinstance(source, bytes) else source.encode()
    return ideas.idea(Candidate(Tree({"solution.py": data, "notes.txt": b"no code"}), params))


ONE = "def f(x, *, params):\n    return x.mean() + params['a'] * x.std()\n"
OTHER = "import numpy as np\nclass G:\n    def go(self, y):\n        while y:\n            y -= 1\n        return [y]\n"


def test_small_changes_stay_in_the_family():
    """A changed text, name or comment is the same idea, another program founds a family, and so does broken code."""
    some = [made(ONE), made(ONE.replace("'a'", "'b'")), made(OTHER), made(ONE + "\n# a word"), made("def (")]
    assert ideas.families(some) == [0, 0, 1, 0, 2]


def test_long_programs_are_compared_by_a_sample_of_their_words():
    """Two that share nine of ten words are one idea, two that share half are two."""
    words = [f"w{i}" for i in range(1000)]
    some = [made(" ".join(w)) for w in (words, words[100:] + [f"v{i}" for i in range(100)], words[500:] + ["x"] * 9)]
    assert ideas.families(some) == [0, 0, 1]


def test_families_have_an_end():
    """What is like none of the first 500 is one more family: a page of any run is written in bounded time."""
    numbers = ideas.families([made(" ".join(f"w{j}_{i}" for i in range(20))) for j in range(600)])
    assert numbers == [*range(500), *[500] * 100]


def test_entropy_is_that_of_the_window():
    """One family: 0 bits; two in equal shares: 1 bit; what left the window counts no more."""
    assert ideas.entropy([0, 0, 0]) == [0.0, 0.0, 0.0]
    assert ideas.entropy([0, 1])[-1] == 1.0
    assert ideas.entropy([0, 1, 2, 3])[-1] == 2.0
    assert math.isclose(ideas.entropy([5] + [0, 1] * 8, window=16)[-1], 1.0)


def test_complexity_counts_tokens():
    """Names, numbers and signs, not texts, comments or empty lines, and only of Python files."""
    assert made("x = 1").complexity == 3
    assert made("x = 'a b' + \"c\"  # and more\n\n'''d\ne'''").complexity == 3
    assert made("def (").complexity == 2


HOSTILE = {
    "a number that cannot be printed": b"x = 0x" + b"f" * 60_000,
    "texts in texts": b"f'{1}{1}'" * 7000,
    "deep nesting": b"(" * 65_000,
    "a deep sign": b"-" * 65_000 + b"1",
    "zero bytes": b"\0" * 65_536,
    "one long line": b"x" * 65_536,
    "texts without end": b'\\"' * 32_000,
    "quotes without end": b"'''\\" * 16_000,
    "quotes in quotes": b'\'"""\'' * 13_000,
    "no text at all": b"\xff\xfe" * 32_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_is_too_hard_to_read(name, monkeypatch):
    """Every byte is read once: the pieces make up the text and none is empty. Python's own parser has no part in it."""
    monkeypatch.delattr("ast.parse")
    text = HOSTILE[name]
    pieces = [m.group() for m in ideas.TOKEN.finditer(text)]
    assert b"".join(pieces) == text
    assert all(pieces)
    assert made(text).complexity <= len(text)
    assert len(made(text).words) <= ideas.KEPT
