"""A weak-to-strong method assembled from blocks; `params` say which. With no params: train on hard weak labels.

smoothing -> labels -> vote -> filter -> weights -> own model, refined in rounds -> ensemble -> answer
"""

import blocks
import many
import numpy as np


def targets(pool_features, pool_weak_probs, *, params, rng, margins=None, groups=None):
    """(n, d) features and (n,) weak probabilities -> soft targets (n,) in [0, 1] and weights (n,) for the student.

    The referee fits a plain logistic probe to what is returned. A method with a model of its own (a strong
    regulariser, few components, rounds of relabelling) expresses it by returning that model's predictions.
    """
    p = blocks.settings(params)
    pool = blocks.Pool(pool_features, pool_weak_probs, margins)
    given = blocks.lesson(pool, p, rng)
    if not blocks.needs_model(p):
        return given.y.astype(np.float32), given.u.astype(np.float32)
    probs = blocks.ensemble(blocks.basis(given.axes, p["rank"], p["power"]), given.y, given.u, p, rng)
    return blocks.answer(probs, pool_weak_probs, p["answer"], p["cut"]), np.ones(len(probs), np.float32)


def targets_batched(pool_features, pool_weak_probs, *, params, new_rng, margins=None, groups=None):
    """The same for k variants at once: params are columns (k,), answers (k, n)."""
    pool = blocks.Pool(pool_features, pool_weak_probs, margins)
    # plain numbers, because numpy's would widen float32 arrays
    rows = zip(*(column.tolist() for column in params.values()), strict=True)
    each = [blocks.settings(dict(zip(params, row, strict=True))) for row in rows]
    given = many.lessons(pool, each, [new_rng() for _ in each])
    own = [i for i, p in enumerate(each) if blocks.needs_model(p)]
    targets = np.array([one.y for one in given], np.float32)
    weights = np.array([one.u for one in given], np.float32)
    for i, probs in zip(own, many.modelled([given[i] for i in own]), strict=True):
        targets[i] = blocks.answer(probs, pool_weak_probs, each[i]["answer"], each[i]["cut"])
        weights[i] = 1
    return targets, weights
