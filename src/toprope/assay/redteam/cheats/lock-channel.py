"""Signals to another candidate by locking a file that both may read.

Source: found by attacking the prototype: flock worked at first.
"""

import fcntl
import os

import numpy as np

CLASS = "C6"
MEETS = "seccomp"
EXPECT = "blocked"
OFF = "seccomp"


def cheat(plan, arrays):
    fcntl.flock(os.open(np.__file__, os.O_RDONLY), 2)
    return "locked"


def twin(plan, arrays):
    """Opens the same file and closes it."""
    os.close(os.open(np.__file__, os.O_RDONLY))
