"""The same reward for everything: whoever optimises it selects at random."""

import numpy as np


def fit(chosen, rejected, *, params, rng):
    return None


def reward(state, features):
    return np.zeros(len(features))
