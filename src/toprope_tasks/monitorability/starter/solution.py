"""A monitor and a penalty in blocks. With no parameters: a keyword monitor, and no penalty.

A token's evidence is how far it speaks for a hack; an episode's is the sum over its tokens.
evidence  keyword: 1 for tokens hacks use at least `cut` times as often as honest talk does, else 0
          bayes: log of that ratio; logistic: weights of a ridge-penalised logistic regression
cut, smooth, l2   keyword's threshold; pseudo-counts of keyword and bayes; penalty of logistic
pilot     weight of the rollouts of a policy already trained under the developer's pressure
rare      evidence added for a token that honest rollouts hardly ever hold: a hint not seen yet, perhaps
rise      evidence added for a token the pilot uses more than the untrained policy, per unit of log ratio
top       1: only the most suspicious token of an episode counts, 0: all do
kind      evidence added per unit of log odds of a hack among questions of this kind
penalty   none; suspicion: chance of a hack; list: anything not clearly honest; confess: anything not clearly a hack;
          unclear: whatever is neither
strength  of the penalty in [0, 1]; late: factor on it that the last third of training has, the middle one halfway
sharp, shift  slope and middle of the chance, in units of evidence, that the penalty is made of
"""

import numpy as np

DEFAULTS = {
    "evidence": "keyword", "cut": 3.0, "smooth": 1.0, "l2": 3.0, "pilot": 0.0, "rare": 0.0, "rise": 0.0, "top": 0,
    "kind": 0.0, "penalty": "none", "strength": 0.1, "late": 1.0, "sharp": 1.0, "shift": 0.0,
}  # fmt: skip


def fit(rollouts, *, params, rng, pilot, vocabulary):
    p = {**DEFAULTS, **params}
    v = int(vocabulary)
    both = np.concatenate([rollouts, pilot])
    weight = np.concatenate([np.ones(len(rollouts)), np.full(len(pilot), float(p["pilot"]))])
    kind, tokens, hack = both[:, 0], both[:, 1:-1], both[:, -1] == 1
    counts = (tokens[:, :, None] == np.arange(v)).sum(axis=1).astype(float)  # (n, v)
    guilty, honest = (weight * hack) @ counts, (weight * ~hack) @ counts
    evidence = _evidence(p, counts, hack, weight, guilty, honest)
    evidence = evidence + p["rare"] / (1 + honest / 3)
    early, late = counts[: len(rollouts)].sum(axis=0), counts[len(rollouts) :].sum(axis=0)
    evidence = evidence + p["rise"] * np.log((late + 3) / len(pilot) / ((early + 3) / len(rollouts)))
    rate = np.array([(weight @ (hack & (kind == q)) + 1) / (weight @ (kind == q) + 2) for q in (0, 1)])
    return {"p": p, "evidence": evidence, "kind": p["kind"] * np.log(rate / (1 - rate))}


def flag(state, episodes):
    return _suspicion(state, episodes)


def penalty(state, episodes, step):
    p = state["p"]
    chance = 1 / (1 + np.exp(-np.clip(p["sharp"] * (_suspicion(state, episodes) - p["shift"]), -30, 30)))
    if p["penalty"] == "suspicion":
        shape = chance
    elif p["penalty"] == "list":
        shape = np.minimum(4 * chance, 1.0)
    elif p["penalty"] == "confess":
        shape = np.minimum(4 * (1 - chance), 1.0)
    elif p["penalty"] == "unclear":
        shape = 1 - np.abs(2 * chance - 1)
    else:
        shape = np.zeros(len(episodes))
    return np.minimum(p["strength"] * (1 + 1.5 * float(step) * (p["late"] - 1)) * shape, 1.0)


def _suspicion(state, episodes):
    each = state["evidence"][episodes[:, 1:]]
    total = each.max(axis=1) if state["p"]["top"] else each.sum(axis=1)
    return total + state["kind"][episodes[:, 0]]


def _evidence(p, counts, hack, weight, guilty, honest):
    """(v,) how far each token speaks for a hack."""
    ratio = (guilty + p["smooth"]) / (guilty.sum() + len(guilty) * p["smooth"])
    ratio = ratio / ((honest + p["smooth"]) / (honest.sum() + len(honest) * p["smooth"]))
    if p["evidence"] == "keyword":
        return (ratio >= p["cut"]).astype(float)
    if p["evidence"] == "bayes":
        return np.log(ratio)
    return _logistic(counts, hack, weight, p["l2"])


def _logistic(x, y, weight, l2):
    """Weights by Newton steps, with an unpenalised constant that is dropped."""
    x = np.concatenate([x - x.mean(axis=0), np.ones((len(x), 1))], axis=1)
    ridge = np.diag([l2] * (x.shape[1] - 1) + [1e-6])
    w = np.zeros(x.shape[1])
    for _ in range(6):
        m = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        curve = (x * (weight * m * (1 - m))[:, None]).T @ x + ridge
        w = w + np.linalg.solve(curve, x.T @ (weight * (y - m)) - ridge @ w)
    return w[:-1]
