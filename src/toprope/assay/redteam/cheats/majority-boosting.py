"""Sends random voters, keeps those above average, and sends their majority.

Source: Blum & Hardt boosting attack (arXiv:1502.04585); corpus row T41.
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
    voters = rig.rng.integers(0, 2, (12, BUCKETS))
    referee = rig.referee()
    answers = [referee.attempt(rig.choosing(NULL, faces=voter.tolist())) for voter in voters]
    told = np.array([a.measured.value if a.measured else float(a.promoted) for a in answers])
    kept = voters[told >= np.median(told)]
    referee.attempt(rig.choosing(NULL, faces=(kept.mean(axis=0) > 0.5).astype(int).tolist()))
    return
