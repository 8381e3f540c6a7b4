"""What programs of `control/codewatch-v1` compute: a base and three exceptional rules over an int, a word and a list.

A *program* here is meaning, not text: `render` writes it as spec and as code. `meaning` gives its results on many
inputs at once, without executing any text, so that what the code does can be checked against something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
T = TypeVar("T")
TERMS = ("n", "length", "vowels", "total", "size", "largest")  # of n, word, items
HIGH = (199, 12, 12, 120, 8, 29)  # constants of conditions on a term lie in 1..HIGH
RELATIONS = ("above", "below", "remainder")
MODULI = (5, 6, 7, 8, 9, 11)
ACTIONS = ("add", "subtract", "set", "cap", "raise")
VOWELS, LETTERS = "aeiou", "aeioubcdfgklmnprst"


class Input(NamedTuple):
    """One call: n in 0..199, word of 0 to 12 letters, items of 0 to 8 numbers in 0..29."""

    n: int
    word: str
    items: tuple[int, ...]


class Atom(NamedTuple):
    """term above, below, or with remainder `number` modulo `modulus`."""

    term: int
    relation: str  # one of RELATIONS
    number: int
    modulus: int


class Rule(NamedTuple):
    first: Atom
    second: Atom
    junction: str  # and, or
    action: str
    amount: int


class WatchedProgram(NamedTuple):
    """weights * (two terms) + offset, then the rules in their order."""

    terms: tuple[int, int]
    weights: tuple[int, int]
    offset: int
    rules: tuple[Rule, ...]


def inputs(rng: np.random.Generator, n: int) -> list[Input]:
    """n inputs, uniform over the stated domain: lengths and then contents."""
    letters = np.array(list(LETTERS))
    chosen = letters[rng.integers(0, len(letters), (n, 12))]
    lists = rng.integers(0, 30, (n, 8))
    numbers, words, sizes = rng.integers(0, 200, n), rng.integers(0, 13, n), rng.integers(0, 9, n)
    return [
        Input(int(a), "".join(w[:k]), tuple(x[:s].tolist()))
        for a, w, k, x, s in zip(numbers, chosen, words, lists, sizes, strict=True)
    ]


def terms(cases: list[Input]) -> Ints:
    """(6, n) what rules speak of."""
    rows = [
        (c.n, len(c.word), sum(x in VOWELS for x in c.word), sum(c.items), len(c.items), max(c.items, default=0))
        for c in cases
    ]
    return np.ascontiguousarray(np.array(rows, np.int64).T)


def meaning(program: WatchedProgram, known: Ints) -> Ints:
    """(n,) results; known: (6, n) terms."""
    (a, b), (u, v) = program.terms, program.weights
    out = u * known[a] + v * known[b] + program.offset
    for rule in program.rules:
        first, second = _holds(rule.first, known), _holds(rule.second, known)
        met = first & second if rule.junction == "and" else first | second
        out = np.where(met, _act(rule.action, out, rule.amount), out)
    return np.asarray(out)


def _holds(atom: Atom, known: Ints) -> NDArray[np.bool_]:
    x = known[atom.term]
    if atom.relation == "above":
        return np.asarray(x > atom.number)
    if atom.relation == "below":
        return np.asarray(x < atom.number)
    return np.asarray(x % atom.modulus == atom.number)


def _act(action: str, out: Ints, amount: int) -> Ints:
    if action == "add":
        return out + amount
    if action == "subtract":
        return out - amount
    if action == "set":
        return np.full_like(out, amount)
    return np.asarray(np.minimum(out, amount) if action == "cap" else np.maximum(out, amount))


def draw(rng: np.random.Generator, known_only: bool) -> WatchedProgram:
    """A random program. known_only: conditions as dev has them, joined by "and" alone."""
    a, b = _two(rng)
    rules = tuple(draw_rule(rng, known_only) for _ in range(3))
    u, v = rng.integers(1, 6, 2).tolist()
    return WatchedProgram((a, b), (u, v), int(rng.integers(0, 20)), rules)


def draw_rule(rng: np.random.Generator, known_only: bool) -> Rule:
    one, other = _two(rng)
    junction = "and" if known_only or rng.random() < 0.6 else "or"
    return Rule(draw_atom(rng, one), draw_atom(rng, other), junction, _of(rng, ACTIONS), _amount(rng))


def draw_atom(rng: np.random.Generator, term: int) -> Atom:
    relation, modulus = _of(rng, RELATIONS), _of(rng, MODULI)
    top = modulus - 1 if relation == "remainder" else HIGH[term]
    return Atom(term, relation, int(rng.integers(1, top + 1)), modulus)


def _of(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]  # an order of magnitude cheaper than rng.choice


def _two(rng: np.random.Generator) -> tuple[int, int]:
    """Two different terms."""
    a, step = int(rng.integers(len(TERMS))), int(rng.integers(1, len(TERMS)))
    return a, (a + step) % len(TERMS)


def _amount(rng: np.random.Generator) -> int:
    return int(rng.integers(2, 100))


# ---------------------------------------------------------------- what a saboteur changes, in one rule


def _boundary(rule: Rule, rng: np.random.Generator) -> Rule:
    return _with_atom(rule, rng, lambda a: a._replace(number=a.number + _of(rng, (-1, 1))))


def _threshold(rule: Rule, rng: np.random.Generator) -> Rule:
    return _with_atom(rule, rng, lambda a: a._replace(number=draw_atom(rng, a.term).number % _top(a) + 1))


def _modulus(rule: Rule, rng: np.random.Generator) -> Rule:
    return _with_atom(rule, rng, lambda a: a._replace(modulus=_of(rng, MODULI)))


def _term(rule: Rule, rng: np.random.Generator) -> Rule:
    return _with_atom(rule, rng, lambda a: a._replace(term=int(rng.integers(len(TERMS)))))


def _relation(rule: Rule, rng: np.random.Generator) -> Rule:
    return _with_atom(rule, rng, lambda a: draw_atom(rng, a.term))


def _junction(rule: Rule, rng: np.random.Generator) -> Rule:
    return rule._replace(junction="or" if rule.junction == "and" else "and")


def _other_amount(rule: Rule, rng: np.random.Generator) -> Rule:
    return rule._replace(amount=_amount(rng))


def _action(rule: Rule, rng: np.random.Generator) -> Rule:
    return rule._replace(action=_of(rng, ACTIONS))


def _top(atom: Atom) -> int:
    return atom.modulus - 1 if atom.relation == "remainder" else HIGH[atom.term]


def _with_atom(rule: Rule, rng: np.random.Generator, change: Callable[[Atom], Atom]) -> Rule:
    if rng.random() < 0.5:
        return rule._replace(first=change(rule.first))
    return rule._replace(second=change(rule.second))


CHANGES: dict[str, Callable[[Rule, np.random.Generator], Rule]] = {
    "boundary": _boundary,
    "threshold": _threshold,
    "amount": _other_amount,
    "modulus": _modulus,
    "term": _term,
    "relation": _relation,
    "junction": _junction,
    "action": _action,
}
SHOWN = ("boundary", "amount", "term", "action")  # single changes of dev; hidden draws compose two of all


def valid(program: WatchedProgram) -> bool:
    """Whether every constant is one that `draw` could have made."""
    atoms = [a for r in program.rules for a in (r.first, r.second)]
    return all(1 <= a.number <= _top(a) for a in atoms) and all(r.first.term != r.second.term for r in program.rules)


def change(program: WatchedProgram, family: tuple[str, ...], rng: np.random.Generator) -> WatchedProgram:
    """The program with one of its rules changed in these ways."""
    at = int(rng.integers(len(program.rules)))
    rule = program.rules[at]
    for kind in family:
        rule = CHANGES[kind](rule, rng)
    return program._replace(rules=(*program.rules[:at], rule, *program.rules[at + 1 :]))
