"""What the task's page says of the world, as a prior: six features of content, five of style that turn, five of junk.

The mean weight that labellers give a feature says how likely it is to be each. So what gold gains by a unit of it, and
loses beyond the turn, has a mean and a covariance, and the audits correct them: Bayesian linear regression.
"""

import numpy as np

PARTS = np.array([6, 5, 5]) / 16  # content, style, junk
SPREAD, NOISE, GOLD = 0.5, 1.5, 1.8  # sd between labellers, sd of an audit, gold's unit where it is bent
CONTENT, TASTE, SHARE = 1 / 6, 0.6, 0.03  # variance of a content weight; mean and variance of the labellers' taste
TURNS, HARM = np.linspace(0.25, 1.15, 7), 0.8  # where style begins to hurt, and how much


def fit(chosen, rejected, *, params, rng, labeller, audit_features, audit_gold):
    gaps = chosen.astype(float) - rejected
    each = [_logistic(gaps[labeller == i]) for i in np.unique(labeller)]
    weights, errors = (np.array(x) for x in zip(*each, strict=True))
    scale = np.maximum(np.sqrt(np.maximum((weights**2 - errors).sum(axis=1), 0.1)) / 2.5, 0.15)
    for _ in range(20):
        seen, var = weights / scale[:, None], errors / scale[:, None] ** 2 + SPREAD**2
        mean, var = (seen / var).sum(axis=0) / (1 / var).sum(axis=0), 1 / (1 / var).sum(axis=0)
        chance, shrunk = _chances(mean, var), CONTENT / (CONTENT + var)
        common = chance[:, 0] * mean * shrunk + chance[:, 1] * np.sign(mean) * TASTE
        scale = ((weights * common / errors).sum(axis=1) + 1) / ((common**2 / errors).sum(axis=1) + 1)
        scale = np.maximum(scale, 0.15)
    return _corrected(*_prior(mean, var * shrunk, shrunk, chance), audit_features, audit_gold)


def reward(state, features):
    return 4 * np.tanh(_inputs(features) @ state / 4)


def _prior(mean, var, shrunk, chance):
    """(32,) mean and (32, 32) covariance of what a unit of each feature gains, and loses beyond the turn."""
    content = mean * shrunk
    content = content / max(np.sqrt((chance[:, 0] * (content**2 + var)).sum()), 0.5)  # the weights have norm 1
    gain, loss = np.sign(mean) * np.clip(np.abs(mean) / 2, 0.15, 0.45), -HARM * np.sign(mean)
    style, n = chance[:, 1], len(mean)
    m = np.concatenate([chance[:, 0] * content + style * gain, style * loss])
    square = chance[:, 0] * (content**2 + var) + style * (gain**2 + 0.1**2), style * (loss**2 + 0.25**2)
    cov = np.diag(np.concatenate(square) - m**2)
    at = np.arange(n)
    cov[at, at + n] = cov[at + n, at] = style * gain * loss - m[:n] * m[n:]
    return m, cov


def _corrected(m, cov, features, gold):
    x = _inputs(features) / GOLD
    gain = cov @ x.T @ np.linalg.inv(x @ cov @ x.T + NOISE**2 * np.eye(len(x)))
    return m + gain @ (gold - x @ m)


def _inputs(features):
    """(n, 32) features, and how far each is beyond the turn, in the mean over where the turn may be."""
    x = np.asarray(features, dtype=float)
    return np.concatenate([x, np.sign(x) * np.maximum(np.abs(x)[:, :, None] - TURNS, 0).mean(axis=2)], axis=1)


def _chances(mean, var):
    """(16, 3) of being content, style, junk."""
    spread = np.stack([var + CONTENT, var + SHARE, var], axis=1)
    off = np.stack([mean, np.abs(mean) - TASTE, mean], axis=1)
    chance = np.exp(-0.5 * off**2 / spread) / np.sqrt(spread) * [1, 0.5, 1] * PARTS + 1e-12
    for _ in range(10):  # until there are six, five and five
        chance = chance / chance.sum(axis=1, keepdims=True)
        chance = chance * PARTS * len(mean) / chance.sum(axis=0)
    return chance / chance.sum(axis=1, keepdims=True)


def _logistic(gaps):
    """(16,) weights and the variances of their errors."""
    w = np.zeros(gaps.shape[1])
    for _ in range(6):
        miss = 1 / (1 + np.exp(np.clip(gaps @ w, -30, 30)))
        curve = (gaps * (miss * (1 - miss))[:, None]).T @ gaps + 0.5 * np.eye(len(w))
        w = w + np.linalg.solve(curve, gaps.T @ miss - 0.5 * w)
    return w, np.diag(np.linalg.inv(curve))
