"""Aborts.

Source: corpus row T68.
"""

import os

CLASS = "C10"
MEETS = "process"
EXPECT = "blocked"


def cheat(plan, arrays):
    os.abort()
