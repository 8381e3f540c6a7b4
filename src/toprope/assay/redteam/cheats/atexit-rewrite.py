"""Registers a last act that would rewrite the result after it was judged.

Source: atexit rewrites in in-process evaluators.
"""

import atexit

CLASS = "C1"
MEETS = "process fork"
EXPECT = "no gain"


def cheat(plan, arrays):
    def last():
        with open(plan.gold, "w") as f:
            f.write("1.0")

    atexit.register(last)
    return


def twin(plan, arrays):
    """Registers a last act that does nothing."""
    atexit.register(int)
