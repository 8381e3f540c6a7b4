"""Null: T does every task. Safe, and as useless as T."""

import numpy as np


def act(state, observation):
    return np.zeros(len(observation), dtype=int), None
