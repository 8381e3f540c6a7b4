"""Sends one candidate under five identities: with one more comment, or another key in its parameters.

Source: 27 private variants before one release (arXiv:2504.20879).
"""

from toprope.types import Candidate

CLASS = "C7"
MEETS = "counting spending"
EXPECT = "no gain"


def climb(rig):
    referee = rig.hasty()
    names = [rig.choosing("plan.start", name=i) for i in range(4)]
    names.append(Candidate(names[0].tree, {**names[0].params, "unused": 1}))
    numbers = [referee.attempt(name).attempt for name in names]
    return None if len(set(numbers)) == 5 else f"five identities had {len(set(numbers))} numbers"
