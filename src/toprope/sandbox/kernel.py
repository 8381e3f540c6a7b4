"""Protection that our own workers request from the kernel: end with the parent, and deny access to their memory."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def close_memory() -> None:
    """Denies other processes of the same uid to read this process's memory."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def harden_worker() -> None:
    """Has the worker killed when its parent ends, and denies other processes of the same uid to read its memory through
    ptrace or /proc."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent ended before it could be watched
