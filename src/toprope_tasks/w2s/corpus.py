"""The generated text both language models read: lines `OP d1 d2 d3 d4 d5 = a .`, ten operations on five digits.

Three lines in ten show a plausible wrong answer first: `OP d1..d5 = w ! a .`. Concepts of the weak-to-strong task are
properties of the answer `a`, read at `=`, where it has not been shown. No concept is a token of this text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

OPS = ("max", "min", "first", "last", "sum3", "diff", "median", "evens", "range", "argmax")
FIRST_OP, EQUALS, STOP, WRONG, PAD = 10, 20, 21, 22, 23  # tokens 0-9 are the digits, 10-19 the operations
VOCAB = 24
PROMPT = 7  # OP, five digits, `=`: what the bank reads
LINE = 11  # the longest line, with a wrong answer in it
WRONG_RATE = 0.3


def answers(ops: Ints, digits: Ints) -> Ints:
    """The right answer of every line, in 0..9. ops: (n,) in 0..9; digits: (n, 5) in 0..9."""
    return all_answers(digits)[np.arange(len(ops)), ops]


def all_answers(digits: Ints) -> Ints:
    """What each of the ten operations gives on each row. Shape (n, 10), in the order of OPS."""
    d = digits
    top, bottom = d.max(1), d.min(1)
    columns = [
        top,
        bottom,
        d[:, 0],
        d[:, 4],
        d[:, :3].sum(1) % 10,
        (d[:, 0] - d[:, 1]) % 10,
        np.sort(d, 1)[:, 2],
        (d % 2 == 0).sum(1),
        top - bottom,
        d.argmax(1),  # position of the first largest digit, 0..4
    ]
    return np.stack(columns, 1)


def prompts(ops: Ints, digits: Ints) -> Ints:
    """(n, 7) tokens up to and with `=`."""
    n = len(ops)
    return np.concatenate([ops[:, None] + FIRST_OP, digits, np.full((n, 1), EQUALS)], 1)


def lines(n: int, rng: np.random.Generator) -> Ints:
    """(n, 11) tokens of whole training lines, padded. The wrong answer, where shown, is another operation's."""
    ops = rng.integers(0, 10, n)
    digits = rng.integers(0, 10, (n, 5))
    table = all_answers(digits)
    right = table[np.arange(n), ops]
    other = table[np.arange(n), (ops + rng.integers(1, 10, n)) % 10]
    wrong = np.where(other == right, (right + rng.integers(1, 10, n)) % 10, other)
    shown = rng.random(n) < WRONG_RATE
    tail = np.full((n, 4), PAD)
    tail[:, 0] = np.where(shown, wrong, right)
    tail[:, 1] = np.where(shown, WRONG, STOP)
    tail[shown, 2] = right[shown]
    tail[shown, 3] = STOP
    return np.concatenate([prompts(ops, digits), tail], 1)
