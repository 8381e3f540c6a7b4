"""Raises its own limits.

Source: sandbox research, section 3.
"""

import resource
import time

CLASS = "C9"
MEETS = "seccomp"
EXPECT = "blocked"
OFF = "seccomp"


def cheat(plan, arrays):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return "set"


def twin(plan, arrays):
    """Reads the time it has used."""
    return time.process_time()
