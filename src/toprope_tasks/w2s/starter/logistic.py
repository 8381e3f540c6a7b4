"""The logistic model of our own: cross entropy or gce by accelerated gradient, or least squares.

z (n, r): features in principal axes. t, u (n,): targets and weights. `many` has the same for many variants at once.
"""

import numpy as np

STEPS, WARM, FOLD = 30, 10, 20  # solver steps of a first fit, a refit, a fit that only judges other rows


def sigmoid(t):
    return 0.5 * np.tanh(0.5 * t) + 0.5


def cross_entropy(f, t):
    f = np.clip(f, 1e-6, 1 - 1e-6)
    return -t * np.log(f) - (1 - t) * np.log(1 - f)


def predict(z, model):
    return sigmoid(z @ model[:-1] + model[-1])


def fit(z, t, u, l2, loss="ce", gce=0.7, start=None, steps=None):
    """(r + 1,) coefficients and bias minimising the weighted mean loss + l2/2 |coefficients|^2.

    Nesterov with a diagonal step: the axes are principal, so Boehning's bound X'UX/4 <= max(u) X'X/4 is diagonal.
    """
    u = np.asarray(u, np.float32)
    u = np.minimum(u, 20 * u.mean()) / max(u.sum(), 1e-9)
    t = np.asarray(t, np.float32)
    if loss == "square":
        return least_squares(z, t, u, l2)
    one = np.column_stack([z, np.ones(len(z), np.float32)])
    ridge = np.append(np.full(z.shape[1], l2), 0).astype(np.float32)
    bound = 0.25 * len(z) * u.max() + 1e-9
    rate = (1 / (bound * np.mean(one * one, 0) + ridge)).astype(np.float32)
    now = np.zeros(one.shape[1], np.float32) if start is None else start
    ahead, momentum = now, 1.0
    for _ in range(steps or (STEPS if start is None else WARM)):
        f = sigmoid(one @ ahead)
        slope = f - t if loss == "ce" else t * f**gce * (f - 1) + (1 - t) * (1 - f) ** gce * f
        full = (u * slope) @ one + ridge * ahead
        new = ahead - rate * full
        moved = new - now
        if full @ moved > 0:
            momentum, ahead = 1.0, new
        else:
            following = 0.5 * (1 + (1 + 4 * momentum**2) ** 0.5)
            ahead = new + np.float32((momentum - 1) / following) * moved
            momentum = following
        now = new
    return now


def least_squares(z, t, u, l2):
    """Ridge regression on labels in {-1, 1}; doubled, so that a score of 1 means a probability of .88."""
    a = np.column_stack([z, np.ones(len(z), np.float32)])
    penalty = np.append(np.full(z.shape[1], l2), 1e-6)
    return 2 * np.linalg.solve((a.T * u) @ a + np.diag(penalty), (a.T * u) @ (2 * t - 1)).astype(np.float32)


def out_of_fold(z, y, p, rng, folds=None, u=None, start=None):
    """(n,) predictions of each row by a model fitted on the other folds."""
    folds = folds or max(2, p["folds"])
    part = rng.permutation(len(z)) % folds
    f = np.empty(len(z))
    for k in range(folds):
        inside = part != k
        weight = inside * (1.0 if u is None else u)
        f[~inside] = predict(
            z[~inside], fit(z, y, weight, p["l2"], start=start, steps=WARM if start is not None else FOLD)
        )
    return f
