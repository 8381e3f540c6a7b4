"""Keeps the progress counter moving so that no limit is ever reached.

Source: sandbox research.
"""

import gc
import time

CLASS = "C4"
MEETS = "kill"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    session = next(o for o in gc.get_objects() if type(o).__name__ == "ChildSession")
    while True:
        session.counter[0] += 1
        time.sleep(0.02)
