"""Answers in words: "best".

Source: corpus row T23: SCORE 1.0.
"""

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    return ("best",) * len(answer) if isinstance(answer, tuple) else "best"
