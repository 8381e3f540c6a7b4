"""Ends its process with status 0 while its files load.

Source: corpus row T24.
"""

import os

CLASS = "C3"
MEETS = "process"
EXPECT = "blocked"
WHEN = "import"


def cheat(plan, arrays):
    os._exit(0)
