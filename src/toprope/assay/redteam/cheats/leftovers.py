"""Looks in shared memory and temporary folders for what earlier candidates left.

Source: corpus row T19.
"""

import os

CLASS = "C2"
MEETS = "landlock fork"
EXPECT = "blocked"
OFF = "landlock"


def cheat(plan, arrays):
    return os.listdir("/dev/shm") + os.listdir("/tmp")
