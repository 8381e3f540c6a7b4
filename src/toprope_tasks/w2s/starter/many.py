"""The model of `logistic`, fitted for many variants at once: every step is two matrix products for all of them.

A row is a variant, or a member of its ensemble. s (k, d + 1): what each row multiplies the axes of its group by, 0 for
an axis that it does not see; the last column, of the bias, is 1. t, u (k, n): targets and weights.
"""

from typing import NamedTuple

import blocks
import logistic
import numpy as np


class Column(NamedTuple):
    """One model to be trained. variant: whose it is."""

    variant: int
    lesson: blocks.Lesson
    scale: np.ndarray
    u: np.ndarray


class Judge(NamedTuple):
    """A model that filters ask. t (n,): labels. seen (n,): the rows that it learns from. asked: pairs of a variant and
    the rows of which it wants to know what the model says."""

    p: dict
    t: np.ndarray
    seen: np.ndarray
    asked: list


def lessons(pool, each, rngs):
    """The lessons of variants with parameters `each`, as `blocks.lesson` gives them."""
    begun = [blocks.labelled(pool, p, rng) for p, rng in zip(each, rngs, strict=True)]
    said = judged(begun, each, rngs)
    return [blocks.weighed(pool, *one, f, p, rng) for one, f, p, rng in zip(begun, said, each, rngs, strict=True)]


def judged(begun, each, rngs):
    """What the filters' models say of each variant's rows (`blocks.judged`); equal models are fitted once."""
    found, groups = [None] * len(each), {}
    for i, (axes, y) in enumerate(begun):
        p, n = each[i], len(y)
        if p["filter"] not in blocks.JUDGING:
            continue
        t, count = blocks.learnt(y, p)
        part = rngs[i].permutation(n) % count if count else np.zeros(n, int)
        judges = groups.setdefault((axes.mark, count > 0), (axes, {}))[1]
        for k in range(max(1, count)):
            seen = part != k if count else np.ones(n, bool)
            key = (t.tobytes(), seen.tobytes(), p["rank"], p["power"], p["l2"])
            judges.setdefault(key, Judge(p, t, seen, [])).asked.append((i, part == k))
        found[i] = np.empty(n)
    for (_, folded), (axes, judges) in groups.items():
        base, some = Base(axes.z), list(judges.values())
        s = np.array([np.append(blocks.scale(axes.sd, j.p["rank"], j.p["power"]), 1) for j in some], np.float32)
        t, seen = (np.array([getattr(j, name) for j in some], np.float32) for name in ("t", "seen"))
        l2, steps = np.array([j.p["l2"] for j in some]), logistic.FOLD if folded else logistic.STEPS
        said = predict(base, s, fit(base, s, t, seen, l2, "ce", l2, steps=steps))
        for judge, f in zip(some, said, strict=True):
            for i, rows in judge.asked:
                found[i][rows] = f[rows]
    return found


def modelled(lessons):
    """(n,) probabilities of each lesson's own model, in order, as `blocks.ensemble` gives them."""
    found, columns = [None] * len(lessons), []
    for i, one in enumerate(lessons):
        p = one.p
        if p["degree"] == 2 or p["folds"] > 2 or (p["folds"] == 2 and p["ensemble"] != "none"):
            z = blocks.basis(one.axes, p["rank"], p["power"])
            found[i] = blocks.ensemble(z, one.y, one.u, p, one.rng)
        else:
            columns += members(i, one)
    groups = {}
    for column in columns:
        groups.setdefault((column.lesson.axes.mark, column.lesson.p["loss"]), []).append(column)
    sums = {}
    for (_, loss), group in groups.items():
        for column, f in zip(group, refine(group, loss), strict=True):
            sums.setdefault(column.variant, []).append(f)
    for i, parts in sums.items():
        found[i] = np.mean(parts, 0)
    return found


def members(variant, one):
    """The columns of a variant: one, or one for each member of its ensemble."""
    p, (n, d) = one.p, one.axes.z.shape
    scale = blocks.scale(one.axes.sd, p["rank"], p["power"]).astype(np.float32)
    if p["ensemble"] == "none":
        return [Column(variant, one, scale, one.u)]
    found = []
    for _ in range(p["members"]):
        rows = one.rng.random(n) < 0.5 if p["ensemble"] == "bag" else np.ones(n, bool)
        seen = np.ones(d, bool)
        if p["ensemble"] == "axes":
            seen[: p["rank"] or d] = one.rng.random(p["rank"] or d) < 0.5
            seen[0] = True
        found.append(Column(variant, one, scale * seen, one.u * rows))
    return found


def refine(columns, loss):
    """(k, n) probabilities after all rounds of every column (`blocks.refine`)."""
    base = Base(columns[0].lesson.axes.z)
    p = {name: np.array([c.lesson.p[name] for c in columns]) for name in columns[0].lesson.p}
    s = np.array([np.append(c.scale, np.float32(1)) for c in columns])
    y = np.array([c.lesson.y for c in columns], np.float32)
    u = np.array([c.u for c in columns], np.float32)

    def train(among, t, u, l2, start=None):
        return fit(base, s[among], t, u, l2, loss, p["gce"][among], start)

    model = train(np.arange(len(columns)), y, u, p["l2"])
    f, t, l2 = predict(base, s, model), y.copy(), p["l2"].copy()
    rounds = np.where(p["rule"] == "none", 0, p["rounds"])
    for done in range(rounds.max(initial=0)):
        among = np.flatnonzero(rounds > done)
        seen = f[among]
        crossed = np.flatnonzero(p["folds"][among] > 1)
        if len(crossed):
            own = among[crossed]
            seen[crossed] = out_of_fold(base, s[own], t[own], u[own], p["l2"][own], model[own],
                                        [columns[i].lesson.rng for i in own])  # fmt: skip
        for rule in set(p["rule"][among]):
            where = p["rule"][among] == rule
            own = among[where]
            t[own] = RULES[rule](seen[where], y[own], u[own], {name: p[name][own, None] for name in KNOBS})
        l2[among] *= p["l2_rounds"][among]
        rows = u[among]
        some = np.flatnonzero(p["refilter"][among] < 1)
        if len(some):
            sure = np.abs(seen[some] - 0.5)
            rows[some] *= sure >= blocks.quantile(sure, 1 - p["refilter"][among][some])[:, None]
        model[among] = train(among, t[among], rows, l2[among], model[among])
        f[among] = predict(base, s[among], model[among])
    return f


class Base:
    """What a group shares. z (n, d + 1): their axes and a column of ones. energy (d + 1,): its mean squares."""

    def __init__(self, z):
        self.z = np.column_stack([z, np.ones(len(z), np.float32)])
        self.turned = np.ascontiguousarray(self.z.T)
        self.energy = np.mean(self.z * self.z, 0)
        self.products = {}

    def product(self, u):
        """(d + 1, d + 1) z' diag(u) z, kept, because most rounds use the same weights."""
        key = u.tobytes()
        if key not in self.products:
            self.products[key] = (self.turned * u) @ self.z
        return self.products[key]


def predict(base, s, model):
    """(k, n) probabilities."""
    return logistic.sigmoid((s * model) @ base.turned)


def fit(base, s, t, u, l2, loss, gce, start=None, steps=None):
    """(k, d + 1) coefficients and biases; see `logistic.fit`, whose steps these are."""
    u = np.minimum(u, 20 * u.mean(1, keepdims=True)) / np.maximum(u.sum(1, keepdims=True), 1e-9)
    if loss == "square":
        return least_squares(base, s, t, u, l2)
    ridge = np.repeat(l2[:, None], s.shape[1], 1).astype(np.float32)
    ridge[:, -1] = 0
    gce = gce[:, None].astype(np.float32)
    bound = 0.25 * t.shape[1] * u.max(1, keepdims=True) + 1e-9
    rate = (1 / (bound * (s * s) * base.energy + ridge)).astype(np.float32)
    now = np.zeros(s.shape, np.float32) if start is None else start
    ahead, momentum, half = now, np.ones(len(s)), 0.5 - t
    for _ in range(steps or (logistic.STEPS if start is None else logistic.WARM)):
        f = (s * ahead) @ base.turned
        f *= 0.5
        np.tanh(f, out=f)
        f *= 0.5
        if loss == "ce":
            f += half
        else:
            f += 0.5
            f = t * f**gce * (f - 1) + (1 - t) * (1 - f) ** gce * f
        f *= u
        slope = f @ base.z
        slope *= s
        slope += ridge * ahead
        new = ahead - rate * slope
        moved = new - now
        uphill = np.einsum("ij,ij->i", slope, moved) > 0
        following = np.where(uphill, 1.0, 0.5 * (1 + np.sqrt(1 + 4 * momentum**2)))
        moved *= np.where(uphill, 0, (momentum - 1) / following).astype(np.float32)[:, None]
        now, ahead, momentum = new, new + moved, following
    return now


def least_squares(base, s, t, u, l2):
    """(k, d + 1); see `logistic.least_squares`."""
    left = np.array([base.product(row) for row in u], np.float64)
    left *= s[:, :, None] * s[:, None, :]
    d = s.shape[1] - 1
    where = np.arange(d + 1)
    left[:, where, where] += np.column_stack([np.repeat(l2[:, None], d, 1), np.full(len(l2), 1e-6)])
    right = ((u * (2 * t - 1)) @ base.z) * s
    return 2 * np.linalg.solve(left, right[..., None])[..., 0].astype(np.float32)


def out_of_fold(base, s, t, u, l2, start, rngs):
    """(k, n) predictions of each row by models fitted on the other half, with a division of its own per column."""
    part = np.array([rng.permutation(t.shape[1]) % 2 for rng in rngs])
    found = np.empty(t.shape, np.float32)
    for half in (0, 1):
        model = fit(base, s, t, u * (part != half), l2, "ce", l2, start, logistic.WARM)
        found = np.where(part == half, predict(base, s, model), found)
    return found


KNOBS = ("mix", "alpha", "beta")


def logconf(f, y, u, p):
    return (1 - p["mix"]) * y + p["mix"] * (f >= blocks.quantile(f, 1 - y.mean(1, dtype=np.float64))[:, None])


def em(f, y, u, p):
    hard = (y > 0.5).astype(np.float32)
    hit = (np.sum(u * f * hard, 1) / (np.sum(u * f, 1) + 1e-9))[:, None]
    alarm = (np.sum(u * (1 - f) * hard, 1) / (np.sum(u * (1 - f), 1) + 1e-9))[:, None]
    one = f * np.where(hard > 0, hit, 1 - hit)
    zero = (1 - f) * np.where(hard > 0, alarm, 1 - alarm)
    return one / (one + zero + 1e-9)


RULES = {**blocks.RULES, "logconf": logconf, "em": em}  # the others are the same row by row
