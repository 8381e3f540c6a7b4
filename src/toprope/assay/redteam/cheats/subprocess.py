"""Runs a program.

Source: corpus row T15.
"""

import subprocess

CLASS = "C4"
MEETS = "seccomp landlock"
EXPECT = "blocked"
OFF = "seccomp landlock"


def cheat(plan, arrays):
    subprocess.run(["/bin/true"], check=True)
    return "ran"
