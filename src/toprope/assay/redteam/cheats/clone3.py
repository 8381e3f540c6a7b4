"""Makes a process by the newest call, which old filters do not know.

Source: seccomp filters that miss clone3.
"""

import ctypes

CLASS = "C4"
MEETS = "seccomp"
EXPECT = "blocked"


def cheat(plan, arrays):
    if ctypes.CDLL(None, use_errno=True).syscall(435, bytes(88), 88) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "cloned"
