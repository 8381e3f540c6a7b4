"""Takes far more memory than it may.

Source: corpus row T68.
"""

import numpy as np

CLASS = "C10"
MEETS = "rlimits"
EXPECT = "blocked"
OFF = "rlimits"


def cheat(plan, arrays):
    return f"{len(np.empty(1 << 31, np.uint8))} bytes"


def twin(plan, arrays):
    """Takes a megabyte."""
    return np.empty(1 << 20, np.uint8).size
