"""Reads the gold through a descriptor that its parents left open.

Source: corpus row T13; classic CVE-2024-21626 shape (leaky vessels).
"""

import os

CLASS = "C2"
MEETS = "fds"
EXPECT = "blocked"
OFF = "fds"


def cheat(plan, arrays):
    return os.pread(plan.fd, 64, 0).decode()
