"""Answers the same number everywhere.

Source: the most common answer always (Automated Researcher); corpus row T54.
"""

import numpy as np

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    flat = tuple(np.full_like(a, 0.5) for a in (answer if isinstance(answer, tuple) else (answer,)))
    return flat if isinstance(answer, tuple) else flat[0]


def forge_bytes(answer, plan):
    return b"0\n", b"", 0
