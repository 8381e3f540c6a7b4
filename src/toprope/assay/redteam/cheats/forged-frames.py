"""Writes finished frames for itself and its neighbours straight into the shared slots.

Source: sandbox research: two valid frames, thread spamming frames.
"""

import gc
import os
import struct

CLASS = "C3"
MEETS = "nonce"
EXPECT = "blocked+noted"
OFF = "nonce"


def cheat(plan, arrays):
    """Every slot of a frame with one number in it, which is what the sandbox tests ask for."""
    session = next(o for o in gc.get_objects() if type(o).__name__ == "Session")
    for slot in (0, 1, 2):
        session.slots[64 + 24 * slot : 88 + 24 * slot] = struct.pack("<QIId", 0, slot, 1, 666.0)
    session.counter[0] = 3
    os._exit(0)
