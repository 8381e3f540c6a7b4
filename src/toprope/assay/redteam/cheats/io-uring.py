"""Asks io_uring to do what the filter forbids.

Source: io_uring is not seen by seccomp once it is set up.
"""

import ctypes

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"
OFF = "seccomp"


def cheat(plan, arrays):
    return f"ring {ctypes.CDLL(None).syscall(425, 8, bytes(120))}"
