"""Families of ideas, their entropy, complexity: small cases that can be counted by hand."""

import math

from toprope.run import ideas
from toprope.types import Candidate, Tree


def made(source, **params):
    return Candidate(Tree({"solution.py": source.encode(), "notes.txt": b"no code"}), params)


ONE = "def f(x, *, params):\n    return x.mean() + params['a'] * x.std()\n"
OTHER = "import numpy as np\nclass G:\n    def go(self, y):\n        while y:\n            y -= 1\n        return [y]\n"


def test_small_changes_stay_in_the_family():
    """A changed constant or name is the same idea, another program founds a family, and so does broken code."""
    some = [made(ONE), made(ONE.replace("'a'", "'b'")), made(OTHER), made(ONE + "\n# a word"), made("def (")]
    assert ideas.families(some) == [0, 0, 1, 0, 2]


def test_entropy_is_that_of_the_window():
    """One family: 0 bits; two in equal shares: 1 bit; what left the window counts no more."""
    assert ideas.entropy([0, 0, 0]) == [0.0, 0.0, 0.0]
    assert ideas.entropy([0, 1])[-1] == 1.0
    assert ideas.entropy([0, 1, 2, 3])[-1] == 2.0
    assert math.isclose(ideas.entropy([5] + [0, 1] * 8, window=16)[-1], 1.0)


def test_complexity_counts_nodes():
    """`x = 1` is a module, an assignment, a name, its context and a constant."""
    assert ideas.complexity(made("x = 1")) == 5
    assert ideas.complexity(made("def (")) == 0
