"""Opens the memory of the process above it through /proc.

Source: corpus row T13: parent's environ, mem, fd, maps.
"""

from pathlib import Path

CLASS = "C2"
MEETS = "landlock identity"
EXPECT = "blocked"
OFF = "landlock identity"


def cheat(plan, arrays):
    parent = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[1]  # getppid() does not say it
    with open(f"/proc/{parent}/mem", "rb") as memory:
        return f"descriptor {memory.fileno()}"
