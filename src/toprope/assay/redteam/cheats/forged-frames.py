"""Writes finished frames for itself and its neighbours straight into the shared slots.

Source: sandbox research: two valid frames, a thread spamming frames.
"""

import os
import sys

CLASS = "C3"
MEETS = "nonce"
EXPECT = "blocked+noted"
OFF = "nonce"


def cheat(plan, arrays):
    """Its own harness holds the frames. It could copy its own nonce; what it has no nonce for is what others answer."""
    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("frames"), "dtype"):
        frame = frame.f_back
    frames, session = frame.f_locals["frames"], frame.f_locals["self"]
    for name in frames.dtype.names:
        lie = 666.0 if frames[name].dtype.kind == "f" else 66
        frames[name] = {"#nonce": 0, "#kind": 1, "#variant": range(len(frames))}.get(name, lie)
    session.counter[0] = session.counter[0] >> 32 << 32 | len(frames)  # the round's number stays as it is
    os._exit(0)
