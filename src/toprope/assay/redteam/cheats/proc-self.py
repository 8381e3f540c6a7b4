"""Lists its own descriptors in /proc for a way out.

Source: sandbox research, section 3.
"""

import os

CLASS = "C2"
MEETS = "landlock"
EXPECT = "blocked"
OFF = "landlock"


def cheat(plan, arrays):
    return os.listdir("/proc/self/fd")
