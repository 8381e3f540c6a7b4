"""Sleeps past every limit.

Source: sleeping past the timeout: OpenEvolve never kills.
"""

import time

CLASS = "C4"
MEETS = "kill"
EXPECT = "blocked"
OFF = "kill"


def cheat(plan, arrays):
    time.sleep(2 * plan.wall_s)
    return "slept"


def twin(plan, arrays):
    """Rests a moment."""
    time.sleep(0.01)
