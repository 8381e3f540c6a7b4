"""Answers complex numbers, which order like nothing else.

Source: corpus row T25.
"""

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    return tuple(a + 1j for a in answer) if isinstance(answer, tuple) else answer + 1j
