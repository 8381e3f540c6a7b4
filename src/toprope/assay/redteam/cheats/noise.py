"""Answers noise of the honest answers' own distribution.

Source: null-skill twin; corpus row T44.
"""

import numpy as np

CLASS = "C7"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    rng = np.random.default_rng(int(abs(np.sum(answer[0])) * 1e6) % 2**32)
    mixed = tuple(rng.permutation(a) if a.ndim else a for a in (answer if isinstance(answer, tuple) else (answer,)))
    return mixed if isinstance(answer, tuple) else mixed[0]
