"""Asks for the limits of its scorer; to lower them once hung the broker.

Source: sandbox research, section 3: prlimit killed the slot.
"""

import resource

CLASS = "C10"
MEETS = "seccomp identity landlock"
EXPECT = "blocked"
OFF = "seccomp identity landlock"


def cheat(plan, arrays):
    return resource.prlimit(plan.scorer, resource.RLIMIT_NOFILE)
