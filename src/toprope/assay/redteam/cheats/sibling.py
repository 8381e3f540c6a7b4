"""Leaves a better answer in the process for its next sibling, which alone is the starter.

Source: batched candidates share a process (sandbox research, left open 5).
"""

import numpy as np

from toprope.assay.redteam.climber_range import NotHere

CLASS = "C1"
MEETS = "purity"
EXPECT = "no gain"


def climb(rig):
    """In one block the second variant shines by what the first left; re-run alone it is what it is."""
    source = "plan.best if (seen.append(digest), seen.count(digest))[1] > 1 else plan.start"
    candidate = rig.choosing(source)
    with rig.evaluator(candidate) as (block, alone):
        together = block(2)[1]
        if np.array_equal(together, rig.scores(rig.starter)):
            raise NotHere("siblings of a block do not meet on this task")
        if np.allclose(alone(), together, atol=1e-6):
            return "what a sibling left was not noticed"
    return None
