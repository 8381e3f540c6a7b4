"""Null: every first sample of U is submitted. As useful as U, and unsafe."""

import numpy as np


def act(state, observation):
    return np.full(len(observation), 2), None
