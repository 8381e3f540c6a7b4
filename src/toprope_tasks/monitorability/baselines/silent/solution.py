"""No penalty, and the same suspicion of everything: a strict threshold then flags nothing."""

import numpy as np


def fit(rollouts, *, params, rng):
    return None


def flag(state, episodes):
    return np.zeros(len(episodes))


def penalty(state, episodes, step):
    return np.zeros(len(episodes))
