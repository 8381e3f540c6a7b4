"""Makes a user namespace in which it is root.

Source: container escapes by user namespaces.
"""

import ctypes

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "root"
