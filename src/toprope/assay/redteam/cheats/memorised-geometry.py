"""Learns one direction of feature space from practice draws by hill climbing, and answers along it everywhere.

Source: weak-to-strong research, attack (b): directions memorised from public
weights, which a secret transform per draw makes worthless.
"""

import numpy as np

from toprope.assay.redteam.climber_range import NotHere

CLASS = "C5"
MEETS = "secrecy metric"
EXPECT = "no gain"
ALONG = "np.clip(0.5 + x @ np.resize(plan.w, x.shape[1]), 0, 1).astype(answer.dtype)"


def climb(rig):
    """Thirty steps on exact practice scores, then one attempt. An honest method would have to look at the draw."""
    w, best = rig.rng.standard_normal(64), -np.inf
    for _ in range(30):
        trial = w + 0.3 * rig.rng.standard_normal(64)
        score = rig.practice(rig.answering(ALONG, w=trial.tolist()), 6)
        if np.isnan(score):
            raise NotHere("its answers are not a function of one matrix")
        if score > best:
            w, best = trial, score
    if rig.referee().attempt(rig.answering(ALONG, w=w.tolist())).promoted:
        return "a direction learned from practice draws was promoted"
    return None
