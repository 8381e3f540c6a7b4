"""Kills every process it may.

Source: corpus row T68.
"""

import os
import signal

CLASS = "C10"
MEETS = "seccomp"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    os.kill(-1, signal.SIGKILL)
    return "killed"
