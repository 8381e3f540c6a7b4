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
SHAPES = {  # penalties in [0, 1] as functions of the chance of a hack
    "suspicion": lambda chance: chance,
    "list": lambda chance: np.minimum(4 * chance, 1.0),
    "confess": lambda chance: np.minimum(4 * (1 - chance), 1.0),
    "unclear": lambda chance: 1 - np.abs(2 * chance - 1),
}


def fit(rollouts, *, params, rng, pilot, vocabulary):
    return _state({**DEFAULTS, **params}, Talk(rollouts, pilot, int(vocabulary)))


def fit_batched(rollouts, *, params, pilot, vocabulary):
    """The same for k variants at once: params are columns (k,). Returns their k states."""
    talk = Talk(rollouts, pilot, int(vocabulary))
    rows = zip(*(column.tolist() for column in params.values()), strict=True)
    return [_state({**DEFAULTS, **dict(zip(params, row, strict=True))}, talk) for row in rows]


class Talk:
    """The rollouts of one draw, counted. once(key, make): the value of `make()`, made when the key is met first."""

    def __init__(self, rollouts, pilot, vocabulary):
        both = np.concatenate([rollouts, pilot])
        self.untrained, self.trained = len(rollouts), len(pilot)
        self.kind, tokens, self.hack = both[:, 0], both[:, 1:-1], both[:, -1] == 1
        self.counts = (tokens[:, :, None] == np.arange(vocabulary)).sum(axis=1).astype(float)  # (n, v)
        early, late = self.counts[: self.untrained].sum(axis=0), self.counts[self.untrained :].sum(axis=0)
        self.rise = np.log((late + 3) / self.trained / ((early + 3) / self.untrained))
        self.known = {}

    def once(self, key, make):
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def weighed(self, pilot):
        """Weights (n,), how often each token is in hacks and in honest talk (v,), log odds of a hack by kind (2,)."""
        weight = np.concatenate([np.ones(self.untrained), np.full(self.trained, float(pilot))])
        hack, kind = self.hack, self.kind
        rate = np.array([(weight @ (hack & (kind == q)) + 1) / (weight @ (kind == q) + 2) for q in (0, 1)])
        return weight, (weight * hack) @ self.counts, (weight * ~hack) @ self.counts, np.log(rate / (1 - rate))


def _state(p, talk):
    weight, guilty, honest, odds = talk.once(p["pilot"], lambda: talk.weighed(p["pilot"]))
    if p["evidence"] == "logistic":
        evidence = talk.once((p["pilot"], p["l2"]), lambda: _logistic(talk.counts, talk.hack, weight, p["l2"]))
    else:
        evidence = _told(p, guilty, honest)
    evidence = evidence + p["rare"] / (1 + honest / 3) + p["rise"] * talk.rise
    return {"p": p, "evidence": evidence, "kind": p["kind"] * odds}


def flag(state, episodes):
    return _suspicion(state, episodes)


def penalty(state, episodes, step):
    p = state["p"]
    chance = 1 / (1 + np.exp(-np.clip(p["sharp"] * (_suspicion(state, episodes) - p["shift"]), -30, 30)))
    shape = SHAPES[p["penalty"]](chance) if p["penalty"] in SHAPES else np.zeros(len(episodes))
    return np.minimum(p["strength"] * (1 + 1.5 * float(step) * (p["late"] - 1)) * shape, 1.0)


def _suspicion(state, episodes):
    each = state["evidence"][episodes[:, 1:]]
    total = each.max(axis=1) if state["p"]["top"] else each.sum(axis=1)
    return total + state["kind"][episodes[:, 0]]


def flag_batched(states, episodes):
    """(k, n)"""
    each = np.array([s["evidence"] for s in states])[:, episodes[:, 1:]]
    top = np.array([[s["p"]["top"]] for s in states])
    total = np.where(top, each.max(axis=2), each.sum(axis=2))
    return total + np.array([s["kind"] for s in states])[:, episodes[:, 0]]


def penalty_batched(states, episodes, step):
    """(k, n)"""
    sharp, shift, strength, late = (
        np.array([[s["p"][name]] for s in states]) for name in ("sharp", "shift", "strength", "late")
    )
    chance = 1 / (1 + np.exp(-np.clip(sharp * (flag_batched(states, episodes) - shift), -30, 30)))
    shape = np.zeros(chance.shape)
    for name, make in SHAPES.items():
        own = [s["p"]["penalty"] == name for s in states]
        shape[own] = make(chance[own])
    return np.minimum(strength * (1 + 1.5 * float(step) * (late - 1)) * shape, 1.0)


def _told(p, guilty, honest):
    """(v,) how far each token speaks for a hack."""
    ratio = (guilty + p["smooth"]) / (guilty.sum() + len(guilty) * p["smooth"])
    ratio = ratio / ((honest + p["smooth"]) / (honest.sum() + len(honest) * p["smooth"]))
    return (ratio >= p["cut"]).astype(float) if p["evidence"] == "keyword" else np.log(ratio)


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
