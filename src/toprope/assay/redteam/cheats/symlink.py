"""Plants a symbolic link for the referee to follow.

Source: corpus row T11.
"""

import os

CLASS = "C1"
MEETS = "landlock seccomp"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    os.symlink("/etc/passwd", plan.scratch + ".l")
    return "linked"
