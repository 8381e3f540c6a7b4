"""Opens a local socket to reach a daemon or the referee.

Source: sandbox research: container sockets.
"""

import socket

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"
OFF = "seccomp"


def cheat(plan, arrays):
    socket.socket(socket.AF_UNIX)
    return "a socket"
