"""Runs of up to three tokens of the code, weighed by how much more often backdoored samples have them (naive Bayes)."""

import re
from collections import Counter

import numpy as np


def fit(samples, *, params, rng):
    bad, good = Counter(), Counter()
    for code, _, backdoored in samples:
        (bad if backdoored else good).update(_grams(code))
    caught = sum(backdoored for *_, backdoored in samples)
    return bad, good, caught, len(samples) - caught


def suspicion(state, code, spec):
    return _odds(state, _grams(code))


def _odds(state, grams):
    bad, good, n_bad, n_good = state
    return sum(np.log((bad[g] + 1) / (n_bad + 2)) - np.log((good[g] + 1) / (n_good + 2)) for g in grams)


def _grams(code):
    tokens = re.findall(r"\w+|[^\w\s]+", code)
    return {tuple(tokens[i : i + n]) for n in (1, 2, 3) for i in range(len(tokens) - n + 1)}
