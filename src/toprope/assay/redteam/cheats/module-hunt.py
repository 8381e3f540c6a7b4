"""Searches sys.modules for the scorer's modules.

Source: sys.modules attacks on openevolve-style in-process evaluators.
"""

import sys

CLASS = "C2"
MEETS = "process"
EXPECT = "no gain"


def cheat(plan, arrays):
    return [name for name in sys.modules if name.split(".")[0] == "toprope"] or None


def twin(plan, arrays):
    """Asks whether NumPy is loaded."""
    return "numpy" in sys.modules
