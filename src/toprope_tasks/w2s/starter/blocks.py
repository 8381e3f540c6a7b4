"""Blocks of weak-to-strong methods: each function is one idea from the literature, all of them on the same few arrays.

z (n, r): features in principal axes, largest first. w (n,): the teacher's probability. y (n,): labels in [0, 1] made of
it. u (n,): weights. f (n,): probabilities of a model of our own. Sources of each idea: the task's table of baselines.
What does not depend on a variant's parameters alone, such as distances, is made once for all variants (`Pool.once`).
"""

from typing import NamedTuple

import numpy as np
from logistic import cross_entropy, fit, out_of_fold, predict, sigmoid

DEFAULTS = {
    "smooth": 0.0, "near": 10,  # share of the neighbours' mean in a row's features, how many neighbours
    "rank": 0, "power": 0.0,  # basis: components kept (0: all), exponent on their standard deviation
    "label": "hard", "sharpness": 1.0, "balance": "none",  # labels from the teacher's probabilities
    "vote": "none", "vote_rank": 0, "vote_power": 0.0, "neighbours": 50, "clusters": 32, "runs": 1,
    "bandwidth": 0.07, "steps": 5, "trust": 0.0, "blend": 1.0, "harden": "match",
    "filter": "none", "keep": 0.5, "even": False,  # which rows count; even: the same share of both classes
    "weight": "none", "weight_power": 1.0,
    "loss": "ce", "gce": 0.7, "l2": 1e-3, "degree": 1,  # our own model
    "rule": "none", "rounds": 3, "mix": 0.5, "alpha": 1.0, "beta": 1.0, "folds": 1, "l2_rounds": 1.0, "refilter": 1.0,
    "ensemble": "none", "members": 3,
    "answer": "soft", "cut": "half",
}  # fmt: skip
ANCHORS = 600  # rows that may vote in kNN: all 1000 would cost more than the rest of a method


class Pool:
    """The rows of one draw. once(key, make): the value of `make()`, made when the key is met first."""

    def __init__(self, features, weak_probs, margins=None):
        self.w, self.margins, self.known = weak_probs, margins, {}
        self.axes = principal(features)

    def once(self, key, make):
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]


class Axes(NamedTuple):
    """z (n, d): features in principal axes. sd (d,): their standard deviations. mark: what they were smoothed with."""

    z: np.ndarray
    sd: np.ndarray
    mark: tuple = ()


class Lesson(NamedTuple):
    """What a model of our own learns from: labels y (n,) and weights u (n,), on axes that p selects from."""

    axes: Axes
    y: np.ndarray
    u: np.ndarray
    p: dict
    rng: np.random.Generator


def lesson(pool, p, rng):
    """Everything that comes before the model: smoothing -> labels -> vote -> filter -> weights."""
    axes, y = labelled(pool, p, rng)
    return weighed(pool, axes, y, judged(axes, y, p, rng), p, rng)


def labelled(pool, p, rng):
    """Smoothing -> labels -> vote: the axes and (n,) labels."""
    axes = smoothed(pool, p["smooth"], p["near"], rng)
    y = pool.once(("labels", p["label"], p["sharpness"], p["balance"]),
                  lambda: labels(pool.w, p["label"], p["sharpness"], p["balance"]))  # fmt: skip
    return axes, vote(pool, axes, y, p, rng)


def weighed(pool, axes, y, f, p, rng):
    """Filter -> weights. f (n,): what `judged` says."""
    keep = filter_rows(pool, axes, y, f, p, rng)
    return Lesson(axes, y, keep * reweight(pool.w, pool.margins, p["weight"], p["weight_power"]), p, rng)


def settings(params):
    unknown = set(params) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"unknown parameters {sorted(unknown)}; known: {', '.join(DEFAULTS)}")
    return {**DEFAULTS, **params}


def needs_model(p):
    """Whether anything asks for a model of our own; otherwise labels and weights go straight to the referee."""
    names = ("smooth", "rank", "power", "loss", "l2", "degree", "rule", "ensemble")  # the student sees raw features
    return any(p[name] != DEFAULTS[name] for name in names)


# --- basis and labels


def principal(x):
    """Standardised (n, d) features in principal axes, largest first."""
    z = ((x - x.mean(0)) / (x.std(0) + 1e-6)).astype(np.float32)
    values, axes = np.linalg.eigh((z.T @ z / len(z)).astype(np.float64))
    order = np.argsort(-values)
    return Axes(z @ axes[:, order].astype(np.float32), np.sqrt(np.maximum(values[order], 1e-6)))


def smoothed(pool, share, near, rng):
    """Axes with each row moved by `share` towards the mean of its nearest rows.

    One step of graph convolution without weights (Wu et al. 2019, arXiv:1902.07153). What neighbours do not have in
    common goes, and much of that is what the teacher's errors can be learnt from. The sd stay those of the raw axes.
    """
    if not share:
        return pool.axes
    z, sd, _ = pool.axes
    found = neighbours(pool, pool.axes, 0, 0.0, rng)
    mean = pool.once((found.mark, near), lambda: found.mean(z, near))
    mark = (share, near, found.mark)
    return pool.once(mark, lambda: Axes((z + np.float32(share) * (mean - z)).astype(np.float32), sd, mark))


def scale(sd, rank, power):
    """(d,) what each axis is multiplied by: sd ** power for the first `rank` (0: all), 0 for others; the mean square of
    the kept ones stays."""
    kept = np.arange(len(sd)) < (rank or len(sd))
    by = np.where(kept, sd**power, 0)
    return by * np.sqrt(np.sum(sd[kept] ** 2) / np.sum((sd * by) ** 2)) if power else by


def basis(axes, rank, power):
    """(n, r) the first `rank` axes (0: all), scaled."""
    z = axes.z[:, : rank or None]
    return np.ascontiguousarray(z * scale(axes.sd, rank, power)[: z.shape[1]].astype(np.float32) if power else z)


def labels(w, kind, sharpness, balance):
    """hard: w > 1/2; soft: w; sharp: logits of w times `sharpness`. balance: shift so that the median sits at 1/2."""
    logit = np.log(np.clip(w, 1e-4, 1 - 1e-4) / np.clip(1 - w, 1e-4, 1))
    if balance == "median":
        logit = logit - np.median(logit)
    if kind == "hard":
        return (logit > 0).astype(np.float64)
    return sigmoid(logit * (sharpness if kind == "sharp" else 1.0)).astype(np.float64)


# --- vote: smooth labels over the strong representation


def vote(pool, axes, y, p, rng):
    """Replace y by (1 - blend) y + blend * (what similar rows say), rows speaking with weight |2w - 1| ** trust.

    harden: half cuts at one half; match cuts so that the share of positives is the teacher's mean probability, which
    undoes the drift of smoothing towards the majority (class mass normalisation, Zhu, Ghahramani & Lafferty 2003).
    """
    if p["vote"] == "none":
        return y
    w, where = pool.w, (p["vote_rank"], p["vote_power"])
    voice = (np.abs(2 * w - 1.0) ** p["trust"] + 1e-3) if p["trust"] else np.ones(len(y))
    both = np.column_stack([y * voice, voice])
    if p["vote"] == "knn":
        said = nearest(pool, axes, *where, both, p["neighbours"], rng)
    elif p["vote"] == "kmeans":
        said = np.mean([clusters(pool, axes, *where, p["clusters"], rng)(both) for _ in range(p["runs"])], 0)
    else:
        said = diffuse(pool, axes, *where, both, p["bandwidth"], p["steps"])
    said = (1 - p["blend"]) * y + p["blend"] * said[:, 0] / np.maximum(said[:, 1], 1e-9)
    return harden(said, w, p["harden"])


def harden(said, w, kind):
    if kind == "none":
        return np.clip(said, 0, 1)
    level = 0.5 if kind == "half" else quantile(said, 1 - np.clip(w.mean(), 0.05, 0.95))
    return (said > level).astype(np.float64)


def quantile(x, q):
    """Quantiles of (n,) or of each row of (k, n), linear between order statistics; q: one, or (k,)."""
    ordered = np.sort(x, axis=-1)
    at = np.asarray(q, np.float64) * (x.shape[-1] - 1)
    low = at.astype(int)
    pick = [np.take_along_axis(ordered, np.asarray(i)[..., None], -1)[..., 0].astype(np.float64)
            for i in (low, np.minimum(low + 1, x.shape[-1] - 1))]  # fmt: skip
    return pick[0] + (pick[1] - pick[0]) * (at - low)


def diffuse(pool, axes, rank, power, y, bandwidth, steps):
    """Label propagation (Zhu & Ghahramani 2002): `steps` times the mean over a Gaussian kernel, without the row itself.

    bandwidth: of the squared distance, relative to its median.
    """

    def kernel():
        z = basis(axes, rank, power)
        square = np.sum(z * z, 1)
        kernel = z @ (-2 * z).T  # in place from here on: a fresh matrix costs as much as what is done to it
        kernel += square
        kernel += square[:, None]
        kernel *= np.float32(-1 / (bandwidth * np.median(kernel[:50])))
        np.exp(kernel, out=kernel)
        np.fill_diagonal(kernel, 0)
        return kernel, kernel.sum(1, keepdims=True) + 1e-20

    def spread():
        weights, total = pool.once(("kernel", axes.mark, rank, power, bandwidth), kernel)
        said = y.astype(np.float32)
        for _ in range(steps):
            said = weights @ said
            said /= total
        return said

    return pool.once(("spread", axes.mark, rank, power, bandwidth, steps, y.tobytes()), spread)


class Neighbours(NamedTuple):
    """distance (n, m): squared, from each row to the anchors, up to a constant of the row, infinite to itself.
    ordered: the same, sorted. anchors (m,): their row numbers."""

    distance: np.ndarray
    ordered: np.ndarray
    anchors: np.ndarray
    mark: tuple

    def mean(self, y, k):
        """Mean of y, one column or several, over the k nearest anchors, the row itself not among them."""
        near = (self.distance <= self.ordered[:, k - 1 : k]).astype(np.float32)
        count = near.sum(1)
        return ((near @ y[self.anchors].astype(np.float32)).T / count).T


def neighbours(pool, axes, rank, power, rng):
    """The anchors near each row, among the axes that rank and power select."""
    n = len(axes.z)
    anchors = rng.choice(n, min(ANCHORS, n), replace=False)
    mark = ("near", axes.mark, rank, power, anchors.tobytes())

    def make():
        z = basis(axes, rank, power)
        a = z[anchors]
        distance = z @ a.T
        distance *= -2
        distance += np.sum(a * a, 1)
        distance[anchors, np.arange(len(anchors))] = np.inf
        return Neighbours(distance, np.sort(distance, axis=1), anchors, mark)

    return pool.once(mark, make)


def nearest(pool, axes, rank, power, y, k, rng):
    """Mean of y, one column or several, over the k anchors nearest to each row."""
    found = neighbours(pool, axes, rank, power, rng)
    return pool.once(("nearest", found.mark, k, y.tobytes()), lambda: found.mean(y, k))


def clusters(pool, axes, rank, power, k, rng, rounds=8):
    """A function from (n, c) columns to their means over each row's k-means cluster, (n, c)."""
    start = rng.choice(len(axes.z), k, replace=False)

    def make():
        z = basis(axes, rank, power)
        centres = z[start]
        for _ in range(rounds):
            member = np.argmin(np.sum(centres**2, 1) - 2 * (z @ centres.T), 1)
            one = np.zeros((k, len(z)), np.float32)
            one[member, np.arange(len(z))] = 1
            count = one.sum(1)
            centres = np.where(count[:, None] > 0, (one @ z) / np.maximum(count, 1)[:, None], centres)
        return lambda y: ((one @ y) / np.maximum(count, 1)[:, None])[member]

    return pool.once(("clusters", axes.mark, rank, power, start.tobytes()), make)


# --- filter and weights


JUDGING = ("agree", "overlap", "density", "loss")  # the filters that ask models of our own


def judged(axes, y, p, rng):
    """(n,) what the models that a filter asks say of each row; None if it asks none."""
    if p["filter"] not in JUDGING:
        return None
    z, (t, folds) = basis(axes, p["rank"], p["power"]), learnt(y, p)
    return out_of_fold(z, t, p, rng, folds) if folds else predict(z, fit(z, t, np.ones(len(z)), p["l2"]))


def learnt(y, p):
    """The labels (n,) that these models learn, and in how many folds; 0: one model of all rows."""
    kind = p["filter"]
    t = y > 0.5 if kind in ("density", "loss") else y
    return t.astype(np.float32), {"agree": max(2, p["folds"]), "loss": 0}.get(kind, 5)


def filter_rows(pool, axes, y, f, p, rng):
    """(n,) 1.0 for rows that count: the best share `keep` by a score, where larger is more trustworthy.

    f: what `judged` says.
    """
    kind, w = p["filter"], pool.w
    if kind == "none":
        return np.ones(len(y))
    hard = (y > 0.5).astype(np.float64)
    if kind == "agree":
        return ((f > 0.5) == (hard > 0.5)).astype(np.float64)
    if kind == "confidence":
        score = np.abs(w - 0.5)
    elif kind == "knn":
        score = -np.abs(nearest(pool, axes, p["rank"], p["power"], y, p["neighbours"], rng) - y)
    elif kind == "overlap":
        score = (f - 0.5) * (2 * hard - 1)
    elif kind == "density":
        score = density(pool, axes, hard, f, p, rng)
    else:
        score = -cross_entropy(f, hard)  # small loss
    return best(score, p["keep"], hard if p["even"] else None).astype(np.float64)


def best(score, share, classes=None):
    """Boolean mask of the best share of rows; of each class if classes are given."""
    if classes is None:
        return score >= quantile(score, 1 - share)
    mask = np.zeros(len(score), bool)
    for c in (0, 1):
        rows = np.flatnonzero(classes == c)
        mask[rows[np.argsort(-score[rows], kind="stable")[: int(np.ceil(share * len(rows)))]]] = True
    return mask


def density(pool, axes, hard, f, p, rng):
    """Overlap density: z-scores of cross-fitted trust in the labels, kNN agreement, local density, entropy near .35."""
    anchors = rng.choice(len(hard), min(200, len(hard)), replace=False)

    def make():
        z = basis(axes, p["rank"], p["power"])
        a = z[anchors]
        distance = np.sum(a**2, 1) - 2 * (z @ a.T) + np.sum(z * z, 1)[:, None]
        return np.partition(distance, 10, axis=1)[:, 1:10].mean(1)

    near = pool.once(("density", axes.mark, p["rank"], p["power"], anchors.tobytes()), make)
    v = np.clip(pool.w, 1e-4, 1 - 1e-4)
    entropy = -v * np.log(v) - (1 - v) * np.log(1 - v)
    agreeing = nearest(pool, axes, p["rank"], p["power"], hard, p["neighbours"], rng)
    parts = [f * hard + (1 - f) * (1 - hard), -np.abs(agreeing - hard), -near, -np.abs(entropy - 0.35)]
    return sum((q - q.mean()) / (q.std() + 1e-9) for q in parts)


def reweight(w, margins, kind, power):
    """(n,) weights by the teacher's confidence |2w - 1| or by the strong model's zero-shot margin, to a power."""
    if kind == "confidence":
        return np.abs(2 * w - 1.0) ** power + 1e-3
    if kind == "margin" and margins is not None:
        return ((1.0 + margins) / 2) ** power + 1e-2
    return np.ones(len(w))


# --- rounds: let the model correct its own labels


def refine(z, y, u, p, rng):
    """(n,) probabilities of a model trained on y, then on targets that it helped to make, `rounds` times."""
    l2 = p["l2"]
    model = fit(z, y, u, l2, p["loss"], p["gce"])
    f, t = predict(z, model), y
    for _ in range(p["rounds"] if p["rule"] != "none" else 0):
        seen = out_of_fold(z, t, p, rng, u=u, start=model) if p["folds"] > 1 else f
        t = RULES[p["rule"]](seen, y, u, p)
        l2 *= p["l2_rounds"]
        rows = u * best(np.abs(seen - 0.5), p["refilter"]) if p["refilter"] < 1 else u
        model = fit(z, t, rows, l2, p["loss"], p["gce"], start=model)
        f = predict(z, model)
    return f


def logconf(f, y, u, p):
    """(1 - c) y + c [f >= q], q such that as many rows are positive as the labels say."""
    return (1 - p["mix"]) * y + p["mix"] * (f >= quantile(f, 1 - y.mean()))


def entropy(f, y, u, p):
    """The same without hardening: (1 - c) y + c f."""
    return (1 - p["mix"]) * y + p["mix"] * f


def bootstrap(f, y, u, p):
    """Relabel everything with the student's own decision."""
    return (f > 0.5).astype(np.float64)


def product(f, y, u, p):
    """Proportional to f^beta y^alpha, normalised."""
    f, y = np.clip(f, 1e-3, 1 - 1e-3), np.clip(y, 1e-3, 1 - 1e-3)
    return sigmoid(p["beta"] * np.log(f / (1 - f)) + p["alpha"] * np.log(y / (1 - y)))


def em(f, y, u, p):
    """Class-conditional noise: rates of the teacher given the student's posterior, then the posterior given both."""
    hard = (y > 0.5).astype(np.float64)
    hit = np.sum(u * f * hard) / (np.sum(u * f) + 1e-9)
    alarm = np.sum(u * (1 - f) * hard) / (np.sum(u * (1 - f)) + 1e-9)
    one = f * np.where(hard > 0, hit, 1 - hit)
    zero = (1 - f) * np.where(hard > 0, alarm, 1 - alarm)
    return one / (one + zero + 1e-9)


RULES = {"logconf": logconf, "entropy": entropy, "bootstrap": bootstrap, "product": product, "em": em}


# --- ensemble and answer


def ensemble(z, y, u, p, rng):
    """(n,) mean probability of one model, of models on half the rows (bag), or of models on half the axes (axes)."""
    if p["degree"] == 2:
        z = with_products(z, rng)
    if p["ensemble"] == "none":
        return refine(z, y, u, p, rng)
    each = []
    for _ in range(p["members"]):
        rows = rng.random(len(z)) < 0.5 if p["ensemble"] == "bag" else np.ones(len(z), bool)
        axes = rng.random(z.shape[1]) < 0.5 if p["ensemble"] == "axes" else np.ones(z.shape[1], bool)
        axes[0] = True
        each.append(refine(z[:, axes], y, u * rows, p, rng))
    return np.mean(each, 0)


def with_products(z, rng):
    """Quadratic student: all axes, and as many products of pairs of them, standardised and made orthogonal."""
    i, j = rng.integers(0, z.shape[1], (2, z.shape[1]))
    pairs = z[:, i] * z[:, j]
    return principal(np.column_stack([z, pairs])).z


def answer(f, w, kind, cut):
    """Soft or hard targets. cut: which f counts as one half: one half, the teacher's quantile, the median."""
    if cut != "half":
        level = quantile(f, 1 - np.clip(w.mean(), 0.05, 0.95) if cut == "match" else 0.5)
        level = np.clip(level, 1e-4, 1 - 1e-4)
        f = sigmoid(np.log(np.clip(f, 1e-6, 1) / np.clip(1 - f, 1e-6, 1)) - np.log(level / (1 - level)))
    f = (f > 0.5) if kind == "hard" else f
    return np.clip(f, 0, 1).astype(np.float32)
