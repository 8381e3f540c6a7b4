"""Answers the top of the range everywhere.

Source: corpus row T54: majority.
"""

import numpy as np

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    flat = tuple(np.ones_like(a) for a in (answer if isinstance(answer, tuple) else (answer,)))
    return flat if isinstance(answer, tuple) else flat[0]
