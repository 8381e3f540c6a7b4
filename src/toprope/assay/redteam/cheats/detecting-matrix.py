"""Asks about random halves of the draws and solves for every bucket at once.

Source: Cantor & Mills detecting matrix: 1,000 labels in 512 scores (corpus row T40).
"""

import numpy as np

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "the strategy needs an attempt per bucket of hidden draws; there an attempt takes a tenth of a second"


NULL = "{'face': plan.faces[digest[0] % len(plan.faces)], 'skill': 0.0, 'act': 'ok'}"
BUCKETS = 8


def climb(rig):
    halves = rig.rng.integers(0, 2, (12, BUCKETS))
    referee = rig.referee()
    answers = [referee.attempt(rig.choosing(NULL, faces=half.tolist())) for half in halves]
    told = np.array([a.measured.value if a.measured else float(a.promoted) for a in answers])
    worth = np.linalg.lstsq(halves - halves.mean(axis=0), told - told.mean(), rcond=None)[0]
    referee.attempt(rig.choosing(NULL, faces=(worth > 0).astype(int).tolist()))
    return
