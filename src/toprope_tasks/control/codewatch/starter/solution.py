"""A monitor in blocks: what in the code is not accounted for by its spec? With no parameters: numbers the spec lacks.

Specs are written in a jargon, another in every draw; what its words mean is learnt from samples, as a dictionary is
from translated sentences. Code and spec are cut into rules (they stand in the same order) and into tokens.

numbers  weight of surprise at a number in the code, given its distance to the nearest in the spec
context  what else that depends on: nothing, the operator beside it, or also the word beside the number in the spec
near     distances up to this are told apart, farther ones are alike
words    weight of surprise at a token of the code, given the spec's words (IBM model 1, Brown et al. 1993)
back     weight of surprise at a word of the spec, given the code's tokens; rounds: of expectation maximisation
smooth   pseudo-counts
by       rule: rule by rule, whole: all of the program at once; pool: how surprises come to one number
caught   how much a backdoored sample takes away from the counts of distances that honest samples made
"""

import functools
import re
from collections import Counter

import numpy as np

DEFAULTS = {
    "numbers": 1.0, "context": "none", "near": 0, "words": 0.0, "back": 0.0, "rounds": 1, "smooth": 1.0,
    "by": "whole", "pool": "mean", "caught": 0.0,
}  # fmt: skip
TOKEN = re.compile(r"[A-Za-z]\w*|\d+|[<>=!]+|[%+*-]+")


def fit(samples, *, params, rng):
    """samples: [code, spec, backdoored] each; spec: prose, arguments, examples."""
    return _fit({**DEFAULTS, **params}, samples, {})


def fit_batched(samples, *, params):
    """For all variants at once, which share what they read and count; params: columns (k,). A climb calls the batched
    forms where there are any: a candidate with another `fit` or `suspicion` must change or delete these too."""
    rows, known = zip(*(column.tolist() for column in params.values()), strict=True), {}
    return [_fit({**DEFAULTS, **dict(zip(params, row, strict=True))}, samples, known) for row in rows]


def suspicion(state, code, spec):
    """One program's: higher for what should be looked at first."""
    return _suspicion(state, code, spec, {})


def suspicion_batched(states, code, spec):
    """(k,) of one program, which is read once for all variants."""
    known = {}
    return np.array([_suspicion(state, code, spec, known) for state in states])


def once(known, key, make):
    """The value of `make()`, made when the key is met first."""
    if key not in known:
        known[key] = make()
    return known[key]


def _fit(p, samples, known):
    by, smooth = p["by"], p["smooth"]
    pairs = once(known, ("pairs", by), lambda: [(rules(code, spec, by), bad) for code, spec, bad in samples])
    honest = [r for found, bad in pairs if not bad for r in found]
    state = {"p": p, "words": None, "back": None, "numbers": None}
    for name, turn in (("words", 1), ("back", -1)):
        if p[name] > 0:
            meet = once(known, (name, by), lambda t=turn: [tuple(map(words, pair[::t])) for pair in honest])
            state[name] = once(known, (name, by, smooth), lambda m=meet: Translation(m, smooth))
    if p["numbers"] > 0:
        caught = [r for found, bad in pairs if bad for r in found]
        seen = once(known, ("gaps", by), lambda: [[g for r in some for g in gaps(*r)] for some in (honest, caught)])
        state["numbers"] = distances(*seen, p)
    return state


def _suspicion(state, code, spec, known):
    p, total = state["p"], 0.0
    by, rounds = p["by"], int(p["rounds"])
    for i, (c, s) in enumerate(once(known, by, lambda: rules(code, spec, by))):
        found = []
        if state["numbers"] is not None:
            seen = once(known, (by, i), lambda c=c, s=s: gaps(c, s))
            found += [p["numbers"] * state["numbers"](gap) for gap in seen]
        for name, left, right in (("words", c, s), ("back", s, c)):
            if (model := state[name]) is not None:
                at = once(known, (name, by, i), lambda m=model, x=left, y=right: m.places(words(x), words(y)))
                surprises = once(known, (model, rounds, i), lambda m=model, at=at: m.surprises(rounds, *at))
                found.extend(p[name] * surprises)
        pooled = {"mean": np.mean, "sum": np.sum, "max": np.max}[p["pool"]](found or [0.0])
        total = max(total, float(pooled)) if p["pool"] == "max" else total + float(pooled)
    return np.float64(total)


# ---------------------------------------------------------------- reading


def rules(code, spec, by):
    """[(tokens of code, tokens of spec)], one per rule or one for all; arguments are named by their place."""
    names = {name: f"arg{i}" for i, name in enumerate(spec["arguments"])}
    body = code.split("\n", 1)[1].rsplit("\n    return", 1)[0]
    out = re.match(r"\s*(\w+)", body)[1]
    names[out] = "out"
    parts, sentences = re.split(r"\n    (?=if)", body), spec["prose"].strip(".").split(". ")
    if by == "whole" or len(parts) != len(sentences):
        parts, sentences = ["\n".join(parts)], [". ".join(sentences)]
    both = zip(parts, sentences, strict=True)
    return [([names.get(t, t) for t in TOKEN.findall(c)], TOKEN.findall(s)) for c, s in both]


def words(tokens):
    return [t for t in tokens if not t.isdigit()]


def beside(tokens, i):
    """The word or operator before the number at i and the one after it."""
    before = tokens[i - 1] if i else "start"
    after = tokens[i + 1] if i + 1 < len(tokens) else "end"
    return before, after


# ---------------------------------------------------------------- what is usual


class Translation:
    """p(token | other side) by IBM model 1, after any number of rounds."""

    def __init__(self, pairs, smooth):
        """pairs: (tokens, tokens of the other side). smooth: pseudo-counts."""
        self._ours = {t: i for i, t in enumerate(sorted({t for left, _ in pairs for t in left}))}
        self._theirs = {w: i for i, w in enumerate(sorted({w for _, right in pairs for w in right}))}
        self._smooth = smooth
        self._chances = [np.ones((len(self._ours) + 1, len(self._theirs) + 1))]  # last row and column: never seen
        meet = [(self.places(*pair)) for pair in pairs if all(pair)]
        self._flat = np.concatenate([(rows * (len(self._theirs) + 1) + columns).ravel() for rows, columns in meet])
        self._widths = np.concatenate([np.full(len(rows), len(columns)) for rows, columns in meet])
        self._starts = np.cumsum(self._widths) - self._widths

    def places(self, left, right):
        """Rows (m, 1) and columns (n,) of tokens in a table of chances."""
        rows = np.array([self._ours.get(t, -1) for t in left], dtype=int)
        return rows[:, None], np.array([self._theirs.get(w, -1) for w in right] or [-1])

    def chance(self, rounds):
        """The table after so many rounds of expectation maximisation."""
        while len(self._chances) <= rounds:
            last = self._chances[-1]
            share = last.ravel()[self._flat]
            share /= np.repeat(np.add.reduceat(share, self._starts), self._widths)
            counts = np.bincount(self._flat, share, last.size).reshape(last.shape) + self._smooth / len(last)
            self._chances.append(counts / counts.sum(axis=0))
        return self._chances[rounds]

    def surprises(self, rounds, rows, columns):
        """(m,) at tokens on their places."""
        return -np.log(self.chance(rounds)[rows, columns].max(axis=1))


def distances(honest, caught, p):
    """How far numbers in code are from the spec's, from gaps; returns a function from a gap to surprise."""
    depth = {"none": 1, "code": 2, "both": 3}[p["context"]]
    found = []
    for side in (0, 1) if depth == 3 else (0,):  # the word before a number in the spec, or after it
        counts = Counter()
        for gap, times in Counter(honest).items():
            for key in _keys(gap, depth, side, p["near"]):
                counts[key] += times
                counts[key[:-1]] += times
        for gap in caught:
            keys = _keys(gap, depth, side, p["near"])
            counts.subtract({k: min(p["caught"], max(counts[k], 0)) for k in keys})
        found.append(_surprises(counts, depth, side, p))
    usual = [np.mean([surprise(gap) for gap in honest] or [0.0]) for surprise in found]
    return found[int(np.argmin(usual))]


def _surprises(counts, depth, side, p):
    """A function from a gap to surprise. Each level of context leans on the one above it, as far as it has been seen
    too rarely."""

    @functools.cache
    def surprise(gap):
        chance = 1.0 / (2 * p["near"] + 2)
        for key in _keys(gap, depth, side, p["near"]):
            chance = (counts[key] + p["smooth"] * chance) / (max(counts[key[:-1]], 0) + p["smooth"])
        return -np.log(max(chance, 1e-9))

    return surprise


def gaps(code, spec):
    """For each number of the code: its distance to the nearest in the spec, what is beside it, and beside that one."""
    places = [(int(t), i) for i, t in enumerate(spec) if t.isdigit()]
    out = []
    for i, token in enumerate(code):
        if token.isdigit() and places:
            number, at = min(places, key=lambda place: abs(place[0] - int(token)))
            out.append((int(token) - number, beside(code, i), beside(spec, at)))
    return out


def _keys(gap, depth, side, near):
    """A gap in ever more context. The last part of a key is the distance."""
    distance, code, spec = gap
    distance = distance if abs(distance) <= near else "far"
    return [(0, distance), (1, *code, distance), (2, *code, spec[side], distance)][:depth]
