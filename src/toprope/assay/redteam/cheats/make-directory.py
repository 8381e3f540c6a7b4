"""Makes a directory that shadows a package.

Source: corpus row T03.
"""

import os

CLASS = "C1"
MEETS = "landlock seccomp identity"
EXPECT = "blocked"
OFF = "landlock seccomp identity"


def cheat(plan, arrays):
    os.mkdir(plan.scratch + ".d")
    return "made"
