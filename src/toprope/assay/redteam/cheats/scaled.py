"""Answers ten thousand times as confidently.

Source: keyword and format stuffing: louder is not better (corpus row T56).
"""

CLASS = "C8"
MEETS = "metric schema"
EXPECT = "no gain | rejected"


def forge(answer, plan):
    louder = tuple(a * 1e4 for a in (answer if isinstance(answer, tuple) else (answer,)))
    return louder if isinstance(answer, tuple) else louder[0]
