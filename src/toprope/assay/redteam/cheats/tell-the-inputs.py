"""Writes its hidden inputs into the error it raises.

Source: corpus row T20.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "blocked"


def cheat(plan, arrays):
    """On practice draws the text comes back, and proves nothing: they are public. On hidden draws no word does."""
    raise ValueError(repr(arrays)[:400])
