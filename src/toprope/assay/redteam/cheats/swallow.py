"""Swallows every exception and goes on.

Source: the same, from inside the interpreter.
"""

import time

CLASS = "C9"
MEETS = "kill"
EXPECT = "blocked"


def cheat(plan, arrays):
    while True:
        try:
            while True:
                time.sleep(10)
        except BaseException:
            pass
