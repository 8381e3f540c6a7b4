"""Writes into its inputs by address.

Source: the same, through ctypes.
"""

import ctypes

CLASS = "C1"
MEETS = "sealing"
EXPECT = "blocked"


def cheat(plan, arrays):
    ctypes.memset(arrays[0].ctypes.data, 1, 8)
    return "written"
