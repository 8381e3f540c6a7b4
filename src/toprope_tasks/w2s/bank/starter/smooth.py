"""One block more than `blocks`: features averaged over neighbours, before any model sees them."""

import blocks
import numpy as np

DEFAULTS = {"smooth": 0.0, "near": 10}  # share of the neighbours' mean in a row's features, how many neighbours


def settings(params):
    own = {**DEFAULTS, **{name: value for name, value in params.items() if name in DEFAULTS}}
    return {**blocks.settings({name: value for name, value in params.items() if name not in DEFAULTS}), **own}


def smoothed(axes, share, near, rng):
    """(z, sd) of `blocks.principal`, each row moved by `share` towards the mean of its nearest rows.

    One step of graph convolution without weights (Wu et al. 2019, arXiv:1902.07153). What neighbours do not have in
    common goes, and much of that is what the teacher's errors can be learnt from. The sd stay those of the raw axes.
    """
    if not share:
        return axes
    z, sd = axes
    return (z + np.float32(share) * (blocks.knn_mean(z, z, near, rng) - z)).astype(np.float32), sd
