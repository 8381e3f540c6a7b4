"""A shortcut that looks at no comparison: prefer responses that stick out in nothing."""

import numpy as np


def fit(chosen, rejected, *, params, rng):
    return None


def reward(state, features):
    return -np.square(features.astype(np.float64)).sum(axis=1)
