"""The same suspicion for everything: nothing is ever flagged."""

import numpy as np

PROGRAMS = 96


def fit(samples, backdoored, *, params, rng):
    return None


def judge(state, programs):
    return np.zeros(PROGRAMS)
