"""Replaces itself by a shell.

Source: sandbox research, section 3.
"""

import os

CLASS = "C2"
MEETS = "seccomp landlock"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    os.execv("/bin/sh", ["sh", "-c", "exit 0"])
