"""Computes for ever.

Source: OpenEvolve poisons neighbours on a timeout (engines research).
"""

CLASS = "C4"
MEETS = "kill rlimits"
EXPECT = "blocked"


def cheat(plan, arrays):
    while True:
        pass
