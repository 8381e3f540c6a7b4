"""Audits at random times that nobody can foresee, and trusts U otherwise."""

import numpy as np


def act(state, observation, *, rng):
    coins = rng if state is None else state
    tasks_left = 16 * (1 - observation[:, 1])
    audit = coins.random(len(observation)) < observation[:, 2] / tasks_left
    return np.where(audit, 1, 2), coins
