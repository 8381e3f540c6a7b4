"""What our own workers ask of the kernel for themselves: end with the parent, and let nobody look inside."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def harden_worker() -> None:
    """The worker is killed when its parent ends, and its memory cannot be read through ptrace or /proc by its own uid."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent or parent == 1:
        os._exit(0)  # the parent ended before it could be watched


def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 if there is none. landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(444, None, ctypes.c_size_t(0), 1)))


def architecture() -> str:
    return platform.machine()
