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

import blocks
import many
import numpy as np


def fit(chosen, rejected, *, params, rng, labeller=None, audit_features=None, audit_gold=None):
    p = {**blocks.DEFAULTS, **params}
    better, worse = (blocks.inputs(x, p["clip"], p["bends"]) for x in (chosen, rejected))
    gaps = better - worse
    trust = blocks.reliability(gaps, labeller, p)
    weights = [blocks.logistic(gaps, trust, p["l2"])]
    for _ in range(int(p["members"]) - 1):
        weights.append(blocks.logistic(gaps, trust * rng.poisson(1.0, len(gaps)), p["l2"], weights[0], steps=2))
    weights = np.array(weights) * blocks.invariance(gaps, trust, labeller, weights[0], p)
    both = np.concatenate([better, worse]) @ weights[0]
    state = {"p": p, "weights": weights, "centre": both.mean(), "scale": both.std() + 1e-9, "audit": None}
    if p["audit"] > 0 and audit_features is not None:
        left = audit_gold - (1 - p["audit"]) * blocks.preference(state, audit_features)
        state["audit"] = blocks.ridge(blocks.inputs(audit_features, p["clip"], p["audit_bends"]), left, p["audit_l2"])
    seen = np.concatenate([chosen, rejected])
    state["edge"] = np.quantile(np.abs(seen), 0.98, axis=0)
    state["top"] = np.quantile(blocks.uncapped(state, seen), p["cap"]) if p["cap"] < 1 else np.inf
    return state


def reward(state, features):
    return np.minimum(blocks.uncapped(state, features), state["top"])


def fit_batched(chosen, rejected, *, params, new_rng, labeller, audit_features, audit_gold):
    """The same for k variants at once: params are columns (k,). Returns their k states."""
    # plain numbers, because numpy's would widen float32 arrays
    rows = zip(*(column.tolist() for column in params.values()), strict=True)
    each = [{**blocks.DEFAULTS, **dict(zip(params, row, strict=True))} for row in rows]
    return many.states(each, many.Draw(chosen, rejected, labeller, new_rng()), audit_features, audit_gold)


def reward_batched(states, features):
    """(k, n) rewards of k states."""
    return np.minimum(many.uncapped(states, many.Rows(features)), [[s["top"]] for s in states])
