"""Answers the opposite of what it believes.

Source: inverted start of the Ladder attacks; corpus row T46.
"""

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    """Mirrored within its own range, so that it stays valid."""
    turned = tuple(a.max() + a.min() - a for a in (answer if isinstance(answer, tuple) else (answer,)))
    return turned if isinstance(answer, tuple) else turned[0]
