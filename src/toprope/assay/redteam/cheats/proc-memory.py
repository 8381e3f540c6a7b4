"""Opens the memory of the process above it through /proc.

Source: corpus row T13: parent's environ, mem, fd, maps.
"""

import os

CLASS = "C2"
MEETS = "landlock identity"
EXPECT = "blocked"
OFF = "landlock identity"


def cheat(plan, arrays):
    with open(f"/proc/{os.getppid()}/mem", "rb") as memory:
        return f"descriptor {memory.fileno()}"
