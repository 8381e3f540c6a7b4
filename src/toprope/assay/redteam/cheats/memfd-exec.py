"""Makes a program in memory, where no path is needed.

Source: sandbox research, section 3.
"""

import os

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"
OFF = "seccomp"


def cheat(plan, arrays):
    return f"descriptor {os.memfd_create('payload')}"
