"""Closes its only channel and runs on.

Source: sandbox research: close the result descriptor and run on.
"""

import os

CLASS = "C4"
MEETS = "kill"
EXPECT = "blocked"


def cheat(plan, arrays):
    os.close(3)
    while True:
        pass
