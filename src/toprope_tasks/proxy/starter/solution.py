"""A reward model in blocks. With no parameters: the plain linear Bradley-Terry fit, all labellers alike.

clip      features are cut to [-clip, clip] before anything else
bends     further inputs of the preference model: none, hinges or squares
l2        ridge penalty of the preference model
labellers pool: all alike; weigh: by how far each agrees with the fit; drop: the least agreeing third is left out
agree     how strongly inputs are shrunk on whose worth the labellers, fitted one by one, do not agree
audit     share of the final reward that comes from a ridge fit of the audited gold on what the preferences leave over
audit_l2, audit_bends  its penalty and inputs
members   bootstrap fits; pessimism: standard deviations between them that are subtracted
caution   price of a unit of distance beyond the comparisons' own range
cap       quantile of the comparisons' rewards above which nothing is better: an optimiser that got there stops
"""

import numpy as np

DEFAULTS = {
    "clip": 99.0, "bends": "none", "l2": 1.0, "labellers": "pool", "agree": 0.0, "audit": 0.0, "audit_l2": 30.0,
    "audit_bends": "none", "members": 1, "pessimism": 0.0, "caution": 0.0,
    "cap": 1.0,
}  # fmt: skip


def fit(chosen, rejected, *, params, rng, labeller=None, audit_features=None, audit_gold=None):
    p = {**DEFAULTS, **params}
    better, worse = (_inputs(x, p["clip"], p["bends"]) for x in (chosen, rejected))
    gaps = better - worse
    trust = _trust(gaps, labeller, p)
    weights = [_logistic(gaps, trust, p["l2"])]
    for _ in range(int(p["members"]) - 1):
        weights.append(_logistic(gaps, trust * rng.poisson(1.0, len(gaps)), p["l2"], weights[0], steps=2))
    weights = np.array(weights) * _agreement(gaps, trust, labeller, weights[0], p)
    both = np.concatenate([better, worse]) @ weights[0]
    state = {"p": p, "weights": weights, "centre": both.mean(), "scale": both.std() + 1e-9, "audit": None}
    if p["audit"] > 0 and audit_features is not None:
        left = audit_gold - (1 - p["audit"]) * _preference(state, audit_features)
        inputs = _inputs(audit_features, p["clip"], p["audit_bends"])
        inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
        state["audit"] = np.linalg.solve(inputs.T @ inputs + p["audit_l2"] * np.eye(inputs.shape[1]), inputs.T @ left)
    seen = np.concatenate([chosen, rejected])
    state["edge"] = np.quantile(np.abs(seen), 0.98, axis=0)
    state["top"] = np.quantile(_uncapped(state, seen), p["cap"]) if p["cap"] < 1 else np.inf
    return state


def reward(state, features):
    return np.minimum(_uncapped(state, features), state["top"])


def _uncapped(state, features):
    p = state["p"]
    out = (1 - p["audit"]) * _preference(state, features) if p["audit"] > 0 else _preference(state, features)
    if state["audit"] is not None:
        out = out + _inputs(features, p["clip"], p["audit_bends"]) @ state["audit"][:-1] + state["audit"][-1]
    if p["caution"] > 0:
        out = out - p["caution"] * np.maximum(np.abs(features) - state["edge"], 0).sum(axis=1)
    return np.asarray(out, dtype=np.float64)


def _preference(state, features):
    """Standardised reward of the preference model, lowered where its members disagree."""
    p = state["p"]
    votes = (_inputs(features, p["clip"], p["bends"]) @ state["weights"].T - state["centre"]) / state["scale"]
    return votes.mean(axis=1) - p["pessimism"] * votes.std(axis=1)


def _inputs(x, clip, bends):
    x = np.clip(x.astype(np.float64), -clip, clip)
    if bends == "hinges":
        return np.concatenate([x, np.maximum(x - 0.7, 0), np.maximum(-x - 0.7, 0)], axis=1)
    if bends == "squares":
        return np.concatenate([x, np.minimum(x * x, 9.0) - 1.0], axis=1)
    return x


def _agreement(gaps, trust, labeller, start, p):
    """A factor in (0, 1] per input: 1 / (1 + agree * variance between labellers / squared mean)."""
    if labeller is None or p["agree"] == 0:
        return 1.0
    each = np.array([
        _logistic(gaps, trust * (labeller == i), 10.0 + p["l2"], start, steps=2) for i in np.unique(labeller)
    ])  # fmt: skip
    each = each / (np.linalg.norm(each, axis=1, keepdims=True) + 1e-9)  # sharp or not, only the direction counts
    return 1 / (1 + p["agree"] * each.var(axis=0) / (each.mean(axis=0) ** 2 + 1e-6))


def _trust(gaps, labeller, p):
    """A weight per comparison, mean 1."""
    trust = np.ones(len(gaps))
    if labeller is None or p["labellers"] == "pool":
        return trust
    ids = np.unique(labeller)
    fitted = _logistic(gaps, trust, p["l2"], steps=3)
    for _ in range(2):
        right = gaps @ fitted > 0
        agreement = np.array([right[labeller == i].mean() for i in ids]) - 0.5
        if p["labellers"] == "weigh":
            value = np.maximum(agreement, 0.01) ** 2
        else:
            value = (agreement > np.quantile(agreement, 0.3)) + 1e-3
        trust = value[np.searchsorted(ids, labeller)]
        trust = trust / trust.mean()
        fitted = _logistic(gaps, trust, p["l2"], fitted, steps=2)
    return trust


def _logistic(gaps, trust, l2, start=None, steps=6):
    """Weights w that maximise sum trust log sigmoid(gaps w) - l2 |w|^2 / 2, by Newton steps."""
    w = np.zeros(gaps.shape[1]) if start is None else start
    for _ in range(steps):
        miss = 1 / (1 + np.exp(np.clip(gaps @ w, -30, 30)))
        curve = (gaps * (trust * miss * (1 - miss))[:, None]).T @ gaps + l2 * np.eye(len(w))
        w = w + np.linalg.solve(curve, gaps.T @ (trust * miss) - l2 * w)
    return w
