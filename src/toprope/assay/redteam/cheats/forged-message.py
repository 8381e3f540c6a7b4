"""Sends the scorer a message that says it is done.

Source: corpus row T23: print a fake score and exit.
"""

import os

CLASS = "C3"
MEETS = "nonce"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    os.write(3, b"D" + bytes(40))
