"""The blocks of the starter for many variants at once.

What depends on the draw alone, such as inputs and bootstrap counts, is made once. Variants with the same clip and bends
share their inputs, those with the same penalty and labellers their fits. A fit's curvature is made in float32, and used
again where the last step was short.
"""

import blocks
import numpy as np

SHORT = 0.03  # a step shorter than this share of the weights leaves the curvature as it is


class Rows:
    """Responses (n, 16), and what is made of them for any variant."""

    def __init__(self, features):
        self.features, self.known = features, {}

    def inputs(self, clip, bends):
        """(n, d)"""
        if (clip, bends) not in self.known:
            self.known[clip, bends] = blocks.inputs(self.features, clip, bends)
        return self.known[clip, bends]


class Draw:
    """The comparisons of one draw. n: comparisons, l: labellers that made any."""

    def __init__(self, chosen, rejected, labeller, rng):
        self.seen = Rows(np.concatenate([chosen, rejected]))
        self.edge = np.quantile(np.abs(self.seen.features), 0.98, axis=0)
        self.order = np.argsort(labeller, kind="stable")  # comparisons of one labeller lie side by side
        self.counts = np.unique(labeller, return_counts=True)[1]
        self.starts = np.cumsum(self.counts) - self.counts
        self.rng, self.draws = rng, []

    def bootstrap(self, members):
        """(members, n) how often each comparison counts: the same numbers for every variant."""
        while len(self.draws) < members:
            self.draws.append(self.rng.poisson(1.0, len(self.order))[self.order].astype(np.float32))
        return np.array(self.draws[:members], np.float32).reshape(members, len(self.order))

    def gaps(self, clip, bends):
        """(d, n) inputs of chosen less rejected."""
        better, worse = np.split(self.seen.inputs(clip, bends), 2)
        return np.ascontiguousarray((better - worse)[self.order].T, np.float32)

    def rows(self, value):
        """(m, n) of a number per labeller (m, l)."""
        return np.repeat(value.astype(np.float32), self.counts, axis=1)

    def reliability(self, sides, w, labellers):
        """(m, l) weights of a labeller's comparisons, mean 1 (`blocks.reliability`). w (m, d), labellers (m,)."""
        right = np.array([one.astype(np.float32) @ gaps > 0 for one, gaps in zip(w, sides, strict=True)])
        right = np.add.reduceat(right.reshape(len(w), len(self.order)), self.starts, axis=1, dtype=float)
        agreement = right / self.counts - 0.5
        few = (agreement > np.quantile(agreement, 0.3, axis=1, keepdims=True)) + 1e-3
        value = np.where(labellers[:, None] == "weigh", np.maximum(agreement, 0.01) ** 2, few)
        return value / (value @ self.counts / len(self.order))[:, None]

    def disputed(self, sides, w, trust, l2):
        """(m, d) variance between labellers over squared mean of an input's weight (`blocks.invariance`)."""
        parts = [slice(start, start + n) for start, n in zip(self.starts.tolist(), self.counts.tolist(), strict=True)]
        fits = [(gaps[:, part], i, part) for i, gaps in enumerate(sides) for part in parts]
        l2, start = (np.repeat(x, len(parts), axis=0) for x in (10.0 + l2, w))
        each = newton(fits, self.rows(trust), l2, start, 2)
        each = (each / (np.linalg.norm(each, axis=1, keepdims=True) + 1e-9)).reshape(len(w), len(parts), w.shape[1])
        return each.var(axis=1) / (each.mean(axis=1) ** 2 + 1e-6)


def states(each, draw, audit_features, audit_gold):
    """The states of k variants, as `solution.fit` gives them; each: their parameters."""
    found = [{"p": p, "edge": draw.edge, "audit": None, "top": np.inf} for p in each]
    for _, at in grouped(found, "bends"):
        fit(draw, [found[i] for i in at])
    audited, rows = [s for s in found if s["p"]["audit"] > 0], Rows(audit_features)
    for s, preferred in zip(audited, preference(audited, rows), strict=True):
        p = s["p"]
        left = audit_gold - (1 - p["audit"]) * preferred
        s["audit"] = blocks.ridge(rows.inputs(p["clip"], p["audit_bends"]), left, p["audit_l2"])
    for (cap,), at in grouped(found, "cap"):
        if cap < 1:
            capped = [found[i] for i in at]
            for s, top in zip(capped, np.quantile(uncapped(capped, draw.seen), cap, axis=1), strict=True):
                s["top"] = top
    return found


def grouped(found, *names):
    """[(values of these parameters, places of the states that have them)]"""
    groups = {}
    for i, s in enumerate(found):
        groups.setdefault(tuple(s["p"][name] for name in names), []).append(i)
    return groups.items()


def fit(draw, group):
    """Writes weights, centre and scale into states whose inputs are alike in number."""
    gaps = {clip: draw.gaps(clip, bends) for (clip, bends), _ in grouped(group, "clip", "bends")}
    keys = grouped(group, "clip", "l2", "labellers")
    sides = [gaps[clip] for (clip, _, _), _ in keys]
    l2, labellers = (np.array([key[i] for key, _ in keys]) for i in (1, 2))
    trust = np.ones((len(keys), len(draw.counts)))
    w = newton(whole(sides), draw.rows(trust), l2, np.zeros((len(keys), len(sides[0]))), 3)
    some = np.flatnonzero(labellers != "pool")
    for _ in range(2):
        own = [sides[i] for i in some]
        trust[some] = draw.reliability(own, w[some], labellers[some])
        w[some] = newton(whole(own), draw.rows(trust[some]), l2[some], w[some], 2)
    w = newton(whole(sides), draw.rows(trust), l2, w, 3)
    some = [i for i, (_, same) in enumerate(keys) if any(group[at]["p"]["agree"] for at in same)]
    between = dict(zip(some, draw.disputed([sides[i] for i in some], w[some], trust[some], l2[some]), strict=True))
    more = [max(group[at]["p"]["members"] for at in same) - 1 for _, same in keys]
    owner = np.repeat(np.arange(len(keys)), more)
    counts = np.concatenate([draw.bootstrap(n) for n in more])
    again = newton(whole([sides[i] for i in owner]), draw.rows(trust[owner]) * counts, l2[owner], w[owner], 2)
    for i, (_, same) in enumerate(keys):
        weights = np.concatenate([w[[i]], again[owner == i]])
        for s in (group[at] for at in same):
            s["weights"] = weights[: s["p"]["members"]] / (1 + s["p"]["agree"] * between[i] if s["p"]["agree"] else 1)
    for (clip, bends), at in grouped(group, "clip", "bends"):
        seen = np.array([group[i]["weights"][0] for i in at]) @ draw.seen.inputs(clip, bends).T
        for i, centre, scale in zip(at, seen.mean(axis=1), seen.std(axis=1), strict=True):
            group[i] |= {"centre": centre, "scale": scale + 1e-9}


def whole(sides):
    """Fits to all comparisons, for `newton`."""
    return [(gaps, i, slice(None)) for i, gaps in enumerate(sides)]


def newton(fits, trust, l2, w, steps):
    """(m, d) weights of m fits (`blocks.logistic`) after some steps from w (m, d). fits: (gaps (d, n), line, part), the
    comparisons of a fit and where its row of trust (lines, n) is. l2 (m,)."""
    d = w.shape[1]
    curve, slope, z = np.empty((len(w), d, d)), np.empty(w.shape), np.empty(trust.shape, np.float32)
    ridge, stale = np.arange(d), np.ones(len(w), bool)
    for _ in range(steps):
        now = w.astype(np.float32)
        for i, (gaps, line, part) in enumerate(fits):
            z[line, part] = now[i] @ gaps
        np.clip(z, -30, 30, out=z)
        miss = 1 / (1 + np.exp(z, out=z))
        pull = trust * miss
        bend = pull - pull * miss
        for i, (gaps, line, part) in enumerate(fits):
            slope[i] = gaps @ pull[line, part]
            if stale[i]:
                curve[i] = (gaps * bend[line, part]) @ gaps.T
                curve[i, ridge, ridge] += l2[i]
        move = np.linalg.solve(curve, (slope - l2[:, None] * w)[..., None])[..., 0]
        w = w + move
        stale = (move * move).sum(axis=1) > SHORT**2 * (w * w).sum(axis=1)
    return w


def uncapped(found, rows):
    """(k, n) rewards of k states before their cap (`blocks.uncapped`)."""
    audit, caution = (np.array([[s["p"][name]] for s in found]) for name in ("audit", "caution"))
    out = (1 - audit) * preference(found, rows)
    for (clip, bends), at in grouped(found, "clip", "audit_bends"):
        some = [i for i in at if found[i]["audit"] is not None]
        if some:
            both = np.array([found[i]["audit"] for i in some])
            out[some] += both[:, :-1] @ rows.inputs(clip, bends).T + both[:, -1:]
    careful = np.flatnonzero(caution)
    if len(careful):
        beyond = np.maximum(np.abs(rows.features) - found[0]["edge"], 0).sum(axis=1)
        out[careful] -= caution[careful] * beyond
    return out


def preference(found, rows):
    """(k, n) standardised rewards of k states, lowered where their members disagree (`blocks.preference`)."""
    out = np.empty((len(found), len(rows.features)))
    for (clip, bends, members), at in grouped(found, "clip", "bends", "members"):
        weights = np.concatenate([found[i]["weights"] for i in at])
        centre, scale, pessimism = (
            np.array(column)[:, None]
            for column in zip(
                *((found[i]["centre"], found[i]["scale"], found[i]["p"]["pessimism"]) for i in at), strict=True
            )
        )
        votes = (weights @ rows.inputs(clip, bends).T).reshape(len(at), members, -1)
        out[at] = (votes.mean(axis=1) - centre) / scale
        if members > 1:
            out[at] -= pessimism * votes.std(axis=1) / scale
    return out
