"""A weak-to-strong method assembled from blocks; `params` say which. With no params: train on hard weak labels.

smoothing -> labels -> vote -> filter -> weights -> own model, refined in rounds -> ensemble -> answer
"""

import blocks
import numpy as np
import smooth


def targets(pool_features, pool_weak_probs, *, params, rng, margins=None, groups=None):
    """(n, d) features and (n,) weak probabilities -> soft targets (n,) in [0, 1] and weights (n,) for the student.

    The referee fits a plain logistic probe to what is returned. A method with a model of its own (a strong
    regulariser, few components, rounds of relabelling) expresses it by returning that model's predictions.
    """
    p = smooth.settings(params)
    axes = smooth.smoothed(blocks.principal(pool_features), p["smooth"], p["near"], rng)
    z = blocks.basis(axes, p["rank"], p["power"])
    weak = blocks.labels(pool_weak_probs, p["label"], p["sharpness"], p["balance"])
    weak = blocks.vote(axes, weak, pool_weak_probs, p, rng)
    keep = blocks.filter_rows(z, weak, pool_weak_probs, p, rng)
    weights = keep * blocks.reweight(pool_weak_probs, margins, p["weight"], p["weight_power"])
    if not (p["smooth"] or blocks.needs_model(p)):  # only a model of our own learns from smoothed features
        return weak.astype(np.float32), weights.astype(np.float32)
    probs = blocks.ensemble(z, weak, weights, p, rng)
    return blocks.answer(probs, pool_weak_probs, p["answer"], p["cut"]), np.ones(len(z), np.float32)
