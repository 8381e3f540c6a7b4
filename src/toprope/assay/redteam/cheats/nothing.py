"""Answers nothing at all.

Source: empty {} scored 100 % on FieldWorkArena (BenchJack).
"""

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    return None
