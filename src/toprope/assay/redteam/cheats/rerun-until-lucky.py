"""Sends the same candidate again and again and stops at the first yes.

Source: corpus row T50; seed 42 -> 137 accepted as progress (karpathy/autoresearch#131).
"""

CLASS = "C7"
MEETS = "counting"
EXPECT = "no gain"


def climb(rig):
    referee = rig.hasty()
    worse = rig.choosing("plan.start")
    answers = [referee.attempt(worse) for _ in range(3)]
    if len({(a.promoted, a.attempt) for a in answers}) > 1:
        return f"the same question had {len({(a.promoted, a.attempt) for a in answers})} answers"
    return None
