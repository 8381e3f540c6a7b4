"""Answers an array of Python objects.

Source: corpus row T25; object arrays carry pickles.
"""

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


class NotHere(Exception):
    """A single number is no array."""


def forge(answer, plan):
    if not isinstance(answer, tuple) and not answer.ndim:
        raise NotHere("its answers are single numbers")
    return tuple(a.astype(object) for a in answer) if isinstance(answer, tuple) else answer.astype(object)
