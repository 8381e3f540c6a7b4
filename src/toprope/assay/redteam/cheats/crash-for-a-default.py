"""Dies of a fatal signal, hoping for a default score.

Source: corpus row T68.
"""

import ctypes

CLASS = "C10"
MEETS = "process"
EXPECT = "blocked"


def cheat(plan, arrays):
    ctypes.string_at(0)
    return "alive"
