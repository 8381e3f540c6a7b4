"""Answers infinity.

Source: corpus row T25.
"""

import numpy as np

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"
OFF = "schema"


def forge(answer, plan):
    return tuple(np.full_like(a, np.inf) for a in answer) if isinstance(answer, tuple) else np.full_like(answer, np.inf)
