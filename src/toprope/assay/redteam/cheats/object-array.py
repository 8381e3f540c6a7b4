"""Answers an array of Python objects.

Source: corpus row T25; object arrays carry pickles.
"""

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    return tuple(a.astype(object) for a in answer) if isinstance(answer, tuple) else answer.astype(object)
