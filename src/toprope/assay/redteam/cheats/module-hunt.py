"""Searches sys.modules for the scorer's modules.

Source: sys.modules attacks on openevolve-style in-process evaluators.
"""

import sys

CLASS = "C2"
MEETS = "process"
EXPECT = "no gain"


def cheat(plan, arrays):
    found = [name for name in sys.modules if name.startswith("toprope") or "scorer" in name or "referee" in name]
    return found or None


def twin(plan, arrays):
    """Asks whether NumPy is loaded."""
    return "numpy" in sys.modules
