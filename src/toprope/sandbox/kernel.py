"""What our own workers ask of the kernel for themselves: end with the parent, and let nobody look inside."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def close_memory() -> None:
    """The own uid cannot read this process's memory."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def harden_worker() -> None:
    """The worker is killed when its parent ends; its own uid cannot read its memory through ptrace or /proc."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent ended before it could be watched
