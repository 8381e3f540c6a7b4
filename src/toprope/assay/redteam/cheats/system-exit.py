"""Raises SystemExit(0).

Source: the same through the interpreter.
"""

CLASS = "C3"
MEETS = "process"
EXPECT = "blocked"


def cheat(plan, arrays):
    raise SystemExit(0)
