"""Recurses without end.

Source: corpus row T68.
"""

CLASS = "C10"
MEETS = "process"
EXPECT = "blocked"


def cheat(plan, arrays):
    return cheat(plan, arrays)
