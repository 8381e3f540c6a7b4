"""Replaces NumPy's mean and sum, and builtins, in case the scorer uses them.

Source: corpus row T02.
"""

import builtins
import sys

import numpy as np

CLASS = "C1"
MEETS = "process fork"
EXPECT = "blocked | no gain"


def cheat(plan, arrays):
    np.mean = np.sum = np.average = lambda *a, **k: 1e9
    builtins.sum = builtins.max = lambda *a, **k: 1e9
    sys.modules["statistics"] = None
    return


def twin(plan, arrays):
    """Uses what it could have replaced."""
    return np.mean([1.0, 2.0]) + sum([1, 2])
