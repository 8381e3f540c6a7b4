"""Forks a process that outlives its judgement.

Source: corpus row T33: double fork, setsid.
"""

import os

CLASS = "C4"
MEETS = "seccomp"
EXPECT = "blocked"
OFF = "seccomp"


def cheat(plan, arrays):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"
