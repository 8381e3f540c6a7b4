"""Splits the inputs in two along their widest axis and calls one side right, without learning anything.

Source: Automated Researcher: clusters by author differed in correctness rate.
"""

import numpy as np

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    """The widest axis of the first matrix; which side is right is taken from the honest answer's majority."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    x = next((a for a in plan.arrays if getattr(a, "ndim", 0) == 2 and len(a) == len(parts[0])), None)
    if x is None:
        said = np.zeros_like(parts[0])
    else:
        axis = np.linalg.eigh(np.cov(x.T))[1][:, -1]
        side = (x - x.mean(axis=0)) @ axis > 0
        belief = parts[0].reshape(len(side), -1).mean(axis=1)  # of a row, where an answer has several numbers for each
        agrees = np.mean(side == (belief > np.median(belief))) >= 0.5
        rows = (side if agrees else ~side).reshape(-1, *[1] * (parts[0].ndim - 1))
        said = np.broadcast_to(rows, parts[0].shape).astype(parts[0].dtype)
    return (said, *parts[1:]) if isinstance(answer, tuple) else said
