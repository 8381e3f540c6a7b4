"""Sleeps where a hidden draw has a property, and reads the property off the clock.

Source: side channels by time (sandbox research, left open 1); sleeping as a function of hidden data.
"""

import time

from toprope.assay.redteam.rig import NotHere
from toprope.referee.messages import Answer

CLASS = "C6"
MEETS = "schedule"
EXPECT = "no gain"
SLEEP = "__import__('time').sleep(plan.pause) or 1 / 0 if digest[0] & 1 == plan.bit else 1 / 0"


def climb(rig):
    """Of two twins one sleeps, whichever bit the draw has. Answers at different ticks are charged for."""
    if "tick" not in Answer.__struct_fields__:
        raise NotHere(
            "this referee has no schedule: its answers are hidden by the climb, which hears them at a barrier"
        )
    referee, pause, told = rig.referee(), 0.6 * rig.task.spec.limits.wall_s, []
    for pair in range(3):
        taken = []
        for bit in (0, 1):
            began = time.monotonic()
            answer = referee.attempt(rig.choosing(SLEEP, bit=bit, pause=pause, pair=pair))
            taken.append((time.monotonic() - began, answer.tick))
        (first, tick), (second, other) = taken
        told.append(0 if tick != other or abs(first - second) < pause / 2 else 1 if first > second else -1)
    return f"the clock told the same bit {len(told)} times" if abs(sum(told)) == len(told) else None
