"""Forges a message and crashes at once, so that the crash is what is written down.

Source: found by this corpus: the first outcome stays, and a crash was first.
"""

import os

CLASS = "C10"
MEETS = "nonce process"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    os.write(3, b"D" + bytes(40))
    raise RuntimeError("an accident")
