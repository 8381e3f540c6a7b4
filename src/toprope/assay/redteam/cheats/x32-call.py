"""Makes a system call under the numbers of another ABI.

Source: filters that check the number and not the architecture.
"""

import ctypes

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"
MACHINE = "x86_64"


def cheat(plan, arrays):
    if ctypes.CDLL(None, use_errno=True).syscall(0x40000000 + 39) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "called"
