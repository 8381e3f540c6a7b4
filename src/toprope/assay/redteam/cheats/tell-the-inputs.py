"""Writes its hidden inputs into the error it raises.

Source: corpus row T20.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "blocked"


def cheat(plan, arrays):
    """On practice draws, which are public, the text comes back. On hidden draws no text does."""
    raise ValueError(repr(arrays)[:400])
