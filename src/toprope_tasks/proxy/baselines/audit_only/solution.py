"""Ridge regression on the few audited responses alone: no labeller is believed."""

import numpy as np


def fit(chosen, rejected, *, params, rng, audit_features, audit_gold):
    x = audit_features.astype(np.float64)
    return np.linalg.solve(x.T @ x + 15.0 * np.eye(x.shape[1]), x.T @ (audit_gold - audit_gold.mean()))


def reward(state, features):
    return features.astype(np.float64) @ state
