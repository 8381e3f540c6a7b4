"""Answers an array of a terabyte that costs it nothing.

Source: corpus row T11: sparse 1 TB file.
"""

import numpy as np

CLASS = "C10"
MEETS = "schema rlimits"
EXPECT = "blocked | rejected"


def forge(answer, plan):
    huge = np.broadcast_to(1.0, (1 << 40,))
    return (huge,) * len(answer) if isinstance(answer, tuple) else huge


def forge_bytes(answer, plan):
    return b"\0" * (1 << 40), b"", 0
