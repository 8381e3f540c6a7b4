"""Answers noise of the honest answers' own distribution.

Source: null-skill twin; corpus row T44.
"""

import numpy as np

CLASS = "C7"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    parts = answer if isinstance(answer, tuple) else (answer,)
    rng = np.random.default_rng(int(abs(np.sum(parts[0])) * 1e6) % 2**32)
    if not parts[0].ndim:  # asked for one number at a time
        return rng.standard_normal()
    mixed = tuple(rng.permutation(a) if a.ndim else a for a in parts)
    return mixed if isinstance(answer, tuple) else mixed[0]


def forge_bytes(answer, plan):
    return bytes(np.random.default_rng(len(answer[0])).permutation(list(answer[0])).astype(np.uint8)), *answer[1:]
