"""Blocks of the starter: each function is one idea, for one variant; `many` has them for many variants at once."""

import numpy as np

DEFAULTS = {
    "clip": 99.0, "bends": "none", "l2": 1.0, "labellers": "pool", "agree": 0.0, "audit": 0.0, "audit_l2": 30.0,
    "audit_bends": "none", "members": 1, "pessimism": 0.0, "caution": 0.0,
    "cap": 1.0,
}  # fmt: skip


def uncapped(state, features):
    p = state["p"]
    out = (1 - p["audit"]) * preference(state, features) if p["audit"] > 0 else preference(state, features)
    if state["audit"] is not None:
        out = out + inputs(features, p["clip"], p["audit_bends"]) @ state["audit"][:-1] + state["audit"][-1]
    if p["caution"] > 0:
        out = out - p["caution"] * np.maximum(np.abs(features) - state["edge"], 0).sum(axis=1)
    return np.asarray(out, dtype=np.float64)


def preference(state, features):
    """Standardised reward of the preference model, lowered where its members disagree."""
    p = state["p"]
    votes = (inputs(features, p["clip"], p["bends"]) @ state["weights"].T - state["centre"]) / state["scale"]
    return votes.mean(axis=1) - p["pessimism"] * votes.std(axis=1)


def inputs(x, clip, bends):
    x = np.clip(x.astype(np.float64), -clip, clip)
    if bends == "hinges":
        return np.concatenate([x, np.maximum(x - 0.7, 0), np.maximum(-x - 0.7, 0)], axis=1)
    if bends == "squares":
        return np.concatenate([x, np.minimum(x * x, 9.0) - 1.0], axis=1)
    return x


def invariance(gaps, trust, labeller, start, p):
    """A factor in (0, 1] per input: 1 / (1 + agree * variance between labellers / squared mean)."""
    if labeller is None or p["agree"] == 0:
        return 1.0
    each = np.array([
        logistic(gaps, trust * (labeller == i), 10.0 + p["l2"], start, steps=2) for i in np.unique(labeller)
    ])  # fmt: skip
    each = each / (np.linalg.norm(each, axis=1, keepdims=True) + 1e-9)  # sharp or not, only the direction counts
    return 1 / (1 + p["agree"] * each.var(axis=0) / (each.mean(axis=0) ** 2 + 1e-6))


def reliability(gaps, labeller, p):
    """A weight per comparison, mean 1."""
    trust = np.ones(len(gaps))
    if labeller is None or p["labellers"] == "pool":
        return trust
    ids = np.unique(labeller)
    fitted = logistic(gaps, trust, p["l2"], steps=3)
    for _ in range(2):
        right = gaps @ fitted > 0
        agreement = np.array([right[labeller == i].mean() for i in ids]) - 0.5
        if p["labellers"] == "weigh":
            value = np.maximum(agreement, 0.01) ** 2
        else:
            value = (agreement > np.quantile(agreement, 0.3)) + 1e-3
        trust = value[np.searchsorted(ids, labeller)]
        trust = trust / trust.mean()
        fitted = logistic(gaps, trust, p["l2"], fitted, steps=2)
    return trust


def logistic(gaps, trust, l2, start=None, steps=6):
    """Weights w that maximise sum trust log sigmoid(gaps w) - l2 |w|^2 / 2, by Newton steps."""
    w = np.zeros(gaps.shape[1]) if start is None else start
    for _ in range(steps):
        miss = 1 / (1 + np.exp(np.clip(gaps @ w, -30, 30)))
        curve = (gaps * (trust * miss * (1 - miss))[:, None]).T @ gaps + l2 * np.eye(len(w))
        w = w + np.linalg.solve(curve, gaps.T @ (trust * miss) - l2 * w)
    return w


def ridge(x, y, l2):
    """(d + 1,) weights and a constant that fit y (n,) from x (n, d)."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    return np.linalg.solve(x.T @ x + l2 * np.eye(x.shape[1]), x.T @ y)
