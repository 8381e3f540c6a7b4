"""Asks the kernel to make its inputs writable.

Source: the same, through mprotect.
"""

import ctypes

CLASS = "C1"
MEETS = "sealing"
EXPECT = "blocked"


def cheat(plan, arrays):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(arrays[0].ctypes.data & ~4095), 4096, 3) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "writable"
