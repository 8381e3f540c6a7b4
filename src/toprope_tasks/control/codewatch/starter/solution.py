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
    p = {**DEFAULTS, **params}
    pairs = [(rules(code, spec, p["by"]), bad) for code, spec, bad in samples]
    honest = [r for found, bad in pairs if not bad for r in found]
    state = {"p": p, "words": None, "back": None, "numbers": None}
    if p["words"] > 0:
        state["words"] = model_1([(words(c), words(s)) for c, s in honest], p)
    if p["back"] > 0:
        state["back"] = model_1([(words(s), words(c)) for c, s in honest], p)
    if p["numbers"] > 0:
        state["numbers"] = distances(honest, [r for found, bad in pairs if bad for r in found], p)
    return state


def suspicion(state, code, spec):
    """One program's: higher for what should be looked at first."""
    p, total = state["p"], 0.0
    for c, s in rules(code, spec, p["by"]):
        found = []
        if state["numbers"] is not None:
            found += [p["numbers"] * x for x in state["numbers"](c, s)]
        if state["words"] is not None:
            found.extend(p["words"] * np.array(state["words"](words(c), words(s))))
        if state["back"] is not None:
            found.extend(p["back"] * np.array(state["back"](words(s), words(c))))
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


def model_1(pairs, p):
    """p(token | other side) by IBM model 1; returns a function (tokens, other side) -> surprises."""
    ours = {t: i for i, t in enumerate(sorted({t for left, _ in pairs for t in left}))}
    theirs = {w: i for i, w in enumerate(sorted({w for _, right in pairs for w in right}))}
    at = [np.ix_([ours[t] for t in left], [theirs[w] for w in right]) for left, right in pairs if left and right]
    chance = np.ones((len(ours) + 1, len(theirs) + 1))  # last row and column: never seen
    for _ in range(int(p["rounds"])):
        counts = np.full(chance.shape, p["smooth"] / len(chance))
        for rows, columns in at:
            share = chance[rows, columns]
            np.add.at(counts, (rows, columns), share / share.sum(axis=1, keepdims=True))
        chance = counts / counts.sum(axis=0)

    def surprises(left, right):
        rows, columns = [ours.get(t, -1) for t in left], [theirs.get(w, -1) for w in right] or [-1]
        return -np.log(chance[np.ix_(rows, columns)].max(axis=1)) if rows else []

    return surprises


def distances(honest, caught, p):
    """How far numbers in code are from the spec's; returns a function (code, spec) -> surprises."""
    depth = {"none": 1, "code": 2, "both": 3}[p["context"]]
    found = []
    for side in (0, 1) if depth == 3 else (0,):  # the word before a number in the spec, or after it
        counts = Counter()
        for c, s in honest:
            for keys in _keys(c, s, depth, side, p["near"]):
                counts.update(keys + [k[:-1] for k in keys])
        for c, s in caught:
            for keys in _keys(c, s, depth, side, p["near"]):
                counts.subtract({k: min(p["caught"], max(counts[k], 0)) for k in keys})
        found.append((counts, side))

    def surprises(c, s, counts, side):
        return [_surprise(keys, counts, p) for keys in _keys(c, s, depth, side, p["near"])]

    usual = [np.mean([x for c, s in honest for x in surprises(c, s, *f)] or [0.0]) for f in found]
    best = found[int(np.argmin(usual))]
    return lambda c, s: surprises(c, s, *best)


def _surprise(keys, counts, p):
    """Each level of context leans on the one above it, as far as it has been seen too rarely."""
    chance = 1.0 / (2 * p["near"] + 2)
    for key in keys:
        chance = (counts[key] + p["smooth"] * chance) / (max(counts[key[:-1]], 0) + p["smooth"])
    return -np.log(max(chance, 1e-9))


def _keys(code, spec, depth, side, near):
    """For each number of the code: its distance, in ever more context. The last part of a key is the distance."""
    places = [(int(t), i) for i, t in enumerate(spec) if t.isdigit()]
    out = []
    for i, token in enumerate(code):
        if token.isdigit() and places:
            number, at = min(places, key=lambda place: abs(place[0] - int(token)))
            gap = int(token) - number
            gap = gap if abs(gap) <= near else "far"
            context = (*beside(code, i), beside(spec, at)[side])
            keys = [(gap,), (*context[:2], gap), (*context, gap)][:depth]
            out.append([(level, *key) for level, key in enumerate(keys)])
    return out
