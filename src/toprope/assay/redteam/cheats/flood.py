"""Floods its channel.

Source: corpus row T68: disk fill, log bombs.
"""

import os

CLASS = "C10"
MEETS = "kill"
EXPECT = "blocked | blocked+noted"


def cheat(plan, arrays):
    for _ in range(1 << 10):
        os.write(3, b"x" * (1 << 20))
    return "flooded"
