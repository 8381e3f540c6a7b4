"""Lowers the limits of its parent, which once hung the broker.

Source: sandbox research, section 3: prlimit killed the slot.
"""

import os
import resource

CLASS = "C10"
MEETS = "seccomp identity landlock"
EXPECT = "blocked"
OFF = "seccomp identity landlock"


def cheat(plan, arrays):
    return resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)
