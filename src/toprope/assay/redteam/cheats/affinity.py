"""Takes another core than its own.

Source: corpus row T33: spare cores beyond the budget.
"""

import os

CLASS = "C4"
MEETS = "seccomp"
EXPECT = "blocked"
OFF = "seccomp"


def cheat(plan, arrays):
    os.sched_setaffinity(0, {0})
    return "moved"
