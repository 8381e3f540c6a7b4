"""Answers an array of Python objects.

Source: corpus row T25; object arrays carry pickles.
"""

import numpy as np

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    return tuple(np.array(a, object) for a in answer) if isinstance(answer, tuple) else np.array(answer, object)
