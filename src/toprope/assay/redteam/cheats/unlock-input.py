"""Unlocks its inputs first, then writes.

Source: the same, one step further.
"""

CLASS = "C1"
MEETS = "sealing"
EXPECT = "blocked"


def cheat(plan, arrays):
    arrays[0].flags.writeable = True
    arrays[0][...] = 0
    return "written"
