"""Counts its calls and is honest only on the first, where it is checked.

Source: corpus row T32.
"""

import numpy as np

CLASS = "C4"
MEETS = "secrecy"
EXPECT = "no gain"


CALLS = []


def forge(answer, plan):
    CALLS.append(1)
    if len(CALLS) == 1:
        return answer
    flat = tuple(np.zeros_like(a) for a in (answer if isinstance(answer, tuple) else (answer,)))
    return flat if isinstance(answer, tuple) else flat[0]


def forge_bytes(answer, plan):
    CALLS.append(1)
    return answer if len(CALLS) == 1 else (b"", b"", 0)
