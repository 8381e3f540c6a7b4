"""Blocks of weak-to-strong methods: each function is one idea from the literature, all of them on the same few arrays.

z (n, r): features in principal axes, largest first. w (n,): the teacher's probability. y (n,): labels in [0, 1] made of
it. u (n,): weights. f (n,): probabilities of a model of our own. Sources of each idea: the task's table of baselines.
"""

import numpy as np

DEFAULTS = {
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
STEPS, WARM, FOLD = 30, 10, 20  # solver steps of a first fit, a refit, a fit that only judges other rows
ANCHORS = 600  # rows that may vote in kNN: all 1000 would cost more than the rest of a method


def settings(params):
    unknown = set(params) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"unknown parameters {sorted(unknown)}; known: {', '.join(DEFAULTS)}")
    return {**DEFAULTS, **params}


def needs_model(p):
    """Whether anything asks for a model of our own; otherwise labels and weights go straight to the referee."""
    return any(p[name] != DEFAULTS[name] for name in ("rank", "power", "loss", "l2", "degree", "rule", "ensemble"))


# --- basis and labels


def principal(x):
    """(n, d) standardised features in principal axes, largest first, and (d,) their standard deviations."""
    z = ((x - x.mean(0)) / (x.std(0) + 1e-6)).astype(np.float32)
    values, axes = np.linalg.eigh((z.T @ z / len(z)).astype(np.float64))
    order = np.argsort(-values)
    return z @ axes[:, order].astype(np.float32), np.sqrt(np.maximum(values[order], 1e-6))


def basis(axes, rank, power):
    """Keep the first `rank` axes (0: all), scale axis j by sd_j ** power, then all so that the mean square is kept."""
    z, sd = axes[0][:, : rank or None], axes[1][: rank or None]
    scale = sd**power
    scale = scale * np.sqrt(np.mean(sd**2) / np.mean((sd * scale) ** 2))
    return np.ascontiguousarray(z * scale.astype(np.float32)) if power else np.ascontiguousarray(z)


def labels(w, kind, sharpness, balance):
    """hard: w > 1/2; soft: w; sharp: logits of w times `sharpness`. balance: shift so that the median sits at 1/2."""
    logit = np.log(np.clip(w, 1e-4, 1 - 1e-4) / np.clip(1 - w, 1e-4, 1))
    if balance == "median":
        logit = logit - np.median(logit)
    if kind == "hard":
        return (logit > 0).astype(np.float64)
    return sigmoid(logit * (sharpness if kind == "sharp" else 1.0)).astype(np.float64)


# --- vote: smooth labels over the strong representation


def vote(axes, y, w, p, rng):
    """Replace y by (1 - blend) y + blend * (what similar rows say), rows speaking with weight |2w - 1| ** trust.

    harden: half cuts at one half; match cuts so that the share of positives is the teacher's mean probability, which
    undoes the drift of smoothing towards the majority (class mass normalisation, Zhu, Ghahramani & Lafferty 2003).
    """
    if p["vote"] == "none":
        return y
    z = basis(axes, p["vote_rank"], p["vote_power"])
    voice = (np.abs(2 * w - 1.0) ** p["trust"] + 1e-3) if p["trust"] else np.ones(len(y))
    both = np.column_stack([y * voice, voice])
    if p["vote"] == "knn":
        said = knn_mean(z, both, p["neighbours"], rng)
    elif p["vote"] == "kmeans":
        said = np.mean([cluster_mean(z, both, p["clusters"], rng) for _ in range(p["runs"])], 0)
    else:
        said = diffuse(z, both, p["bandwidth"], p["steps"])
    said = (1 - p["blend"]) * y + p["blend"] * said[:, 0] / np.maximum(said[:, 1], 1e-9)
    return harden(said, w, p["harden"])


def harden(said, w, kind):
    if kind == "none":
        return np.clip(said, 0, 1)
    level = 0.5 if kind == "half" else np.quantile(said, 1 - np.clip(w.mean(), 0.05, 0.95))
    return (said > level).astype(np.float64)


def diffuse(z, y, bandwidth, steps):
    """Label propagation (Zhu & Ghahramani 2002): `steps` times the mean over a Gaussian kernel, without the row itself.

    bandwidth: of the squared distance, relative to its median.
    """
    square = np.sum(z * z, 1)
    distance = square[:, None] + square - 2 * (z @ z.T)
    kernel = np.exp(distance * np.float32(-1 / (bandwidth * np.median(distance[:50]))))
    np.fill_diagonal(kernel, 0)
    kernel /= kernel.sum(1, keepdims=True) + 1e-20
    y = y.astype(np.float32)
    for _ in range(steps):
        y = kernel @ y
    return y


def knn_mean(z, y, k, rng):
    """Mean of y, one column or several, over the k nearest anchors, the row itself not among them."""
    anchors = rng.choice(len(z), min(ANCHORS, len(z)), replace=False)
    a = z[anchors]
    distance = np.sum(a * a, 1) - 2 * (z @ a.T)
    distance[anchors, np.arange(len(anchors))] = np.inf
    near = np.argpartition(distance, k, axis=1)[:, :k]
    return y[anchors][near].mean(1)


def cluster_mean(z, y, k, rng, rounds=8):
    """(n, c) mean of the columns of y over each row's k-means cluster."""
    centres = z[rng.choice(len(z), k, replace=False)]
    for _ in range(rounds):
        member = np.argmin(np.sum(centres**2, 1) - 2 * (z @ centres.T), 1)
        one = np.zeros((k, len(z)), np.float32)
        one[member, np.arange(len(z))] = 1
        count = one.sum(1)
        centres = np.where(count[:, None] > 0, (one @ z) / np.maximum(count, 1)[:, None], centres)
    return ((one @ y) / np.maximum(count, 1)[:, None])[member]


# --- filter and weights


def filter_rows(z, y, w, p, rng):
    """(n,) 1.0 for rows that count. Scores: larger is more trustworthy; the best share `keep` stays."""
    kind = p["filter"]
    if kind == "none":
        return np.ones(len(z))
    hard = (y > 0.5).astype(np.float64)
    if kind == "agree":
        return ((out_of_fold(z, y, p, rng) > 0.5) == (hard > 0.5)).astype(np.float64)
    if kind == "confidence":
        score = np.abs(w - 0.5)
    elif kind == "overlap":
        score = (out_of_fold(z, y, p, rng, folds=5) - 0.5) * (2 * hard - 1)
    elif kind == "knn":
        score = -np.abs(knn_mean(z, y, p["neighbours"], rng) - y)
    elif kind == "density":
        score = density(z, y, w, p, rng)
    else:
        score = -cross_entropy(predict(z, fit(z, hard, np.ones(len(z)), p["l2"])), hard)  # small loss
    return best(score, p["keep"], hard if p["even"] else None).astype(np.float64)


def best(score, share, classes=None):
    """Boolean mask of the best share of rows; of each class if classes are given."""
    if classes is None:
        return score >= np.quantile(score, 1 - share)
    mask = np.zeros(len(score), bool)
    for c in (0, 1):
        rows = np.flatnonzero(classes == c)
        mask[rows[np.argsort(-score[rows], kind="stable")[: int(np.ceil(share * len(rows)))]]] = True
    return mask


def density(z, y, w, p, rng):
    """Overlap density: z-scores of cross-fitted trust in y, kNN agreement, local density, entropy near .35 nats."""
    hard = (y > 0.5).astype(np.float64)
    f = out_of_fold(z, hard, p, rng, folds=5)
    anchors = z[rng.choice(len(z), min(200, len(z)), replace=False)]
    distance = np.sum(anchors**2, 1) - 2 * (z @ anchors.T) + np.sum(z * z, 1)[:, None]
    near = np.partition(distance, 10, axis=1)[:, 1:10].mean(1)
    v = np.clip(w, 1e-4, 1 - 1e-4)
    entropy = -v * np.log(v) - (1 - v) * np.log(1 - v)
    parts = [f * hard + (1 - f) * (1 - hard), -np.abs(knn_mean(z, hard, p["neighbours"], rng) - hard), -near]
    parts.append(-np.abs(entropy - 0.35))
    return sum((q - q.mean()) / (q.std() + 1e-9) for q in parts)


def reweight(w, margins, kind, power):
    """(n,) weights by the teacher's confidence |2w - 1| or by the strong model's zero-shot margin, to a power."""
    if kind == "confidence":
        return np.abs(2 * w - 1.0) ** power + 1e-3
    if kind == "margin" and margins is not None:
        return ((1.0 + margins) / 2) ** power + 1e-2
    return np.ones(len(w))


# --- our own model: logistic (ce, gce) by accelerated gradient, or least squares


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
    return (1 - p["mix"]) * y + p["mix"] * (f >= np.quantile(f, 1 - y.mean()))


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
    return basis(principal(np.column_stack([z, pairs])), 0, 0.0)


def answer(f, w, kind, cut):
    """Soft or hard targets. cut: which f counts as one half: one half, the teacher's quantile, the median."""
    if cut != "half":
        level = np.quantile(f, 1 - np.clip(w.mean(), 0.05, 0.95)) if cut == "match" else np.median(f)
        level = np.clip(level, 1e-4, 1 - 1e-4)
        f = sigmoid(np.log(np.clip(f, 1e-6, 1) / np.clip(1 - f, 1e-6, 1)) - np.log(level / (1 - level)))
    f = (f > 0.5) if kind == "hard" else f
    return np.clip(f, 0, 1).astype(np.float32)
