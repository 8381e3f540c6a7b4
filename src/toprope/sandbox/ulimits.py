"""What this process may use (ulimit), against what running candidates takes. Asked before anything else is started.

A limit that is too low would otherwise end a child, and look like its candidate's crash. Source: getrlimit(2).
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import NamedTuple

from toprope.errors import MachineFault

MIB = 1 << 20
MEMORY_MB = 512  # what a task allows its candidates unless it says otherwise
BESIDE_MB = 384  # of a child's address space: interpreter and NumPy, the slots for its answers, the public arrays
FILES, FILES_WISHED = 1024, 1 << 16  # a scorer holds one for each draw
PROCESSES = 64  # more than the user has now; a scorer needs three and its candidate's threads
CPU_S = 3600
FILE_MB = 256
STACK, STACK_LEAST = 8 * MIB, MIB  # a candidate's threads get what the shell gave, so everyone gets the same


def cores() -> int:
    """How many this process may use, >= 1."""
    return len(os.sched_getaffinity(0))


class Need(NamedTuple):
    """option: of ulimit, which counts in `unit` bytes. least: what the soft limit has to be."""

    option: str
    which: int
    least: int
    unit: int
    what: str


def needs(memory_mb: int = MEMORY_MB) -> list[Need]:
    room = (memory_mb + BESIDE_MB) * MIB
    return [
        Need("-v", resource.RLIMIT_AS, room, 1024, f"KiB of address space for a candidate of {memory_mb} MiB"),
        Need("-d", resource.RLIMIT_DATA, room, 1024, f"KiB of data for a candidate of {memory_mb} MiB"),
        Need("-n", resource.RLIMIT_NOFILE, FILES, 1, "open files"),
        Need("-u", resource.RLIMIT_NPROC, _tasks() + PROCESSES, 1, f"processes, {PROCESSES} more than there are"),
        Need("-t", resource.RLIMIT_CPU, CPU_S, 1, "seconds of CPU time"),
        Need("-f", resource.RLIMIT_FSIZE, FILE_MB * MIB, 1024, "KiB in a file"),
        Need("-s", resource.RLIMIT_STACK, STACK_LEAST, 1024, "KiB of stack"),
    ]


def require(memory_mb: int = MEMORY_MB) -> None:
    """Raises MachineFault for the first limit that is too low. Raises the number of files as far as it may."""
    if short := shortfalls(memory_mb):
        raise MachineFault(short[0])


def shortfalls(memory_mb: int = MEMORY_MB) -> list[str]:
    """A line for each limit that is too low: its value, what is needed, the remedy."""
    _adjust()
    found = []
    for need in needs(memory_mb):
        soft, hard = resource.getrlimit(need.which)
        if soft != resource.RLIM_INFINITY and soft < need.least and not _exempt(need):
            wanted = -(-need.least // need.unit)
            remedy = f"`ulimit {need.option} {wanted}` or `ulimit {need.option} unlimited`"
            if hard != resource.RLIM_INFINITY and hard < need.least:
                remedy += ", which whoever set the hard limit has to allow (administrator, batch system, container)"
            found.append(f"`ulimit {need.option}` is {soft // need.unit}, needed are {wanted} {need.what}; {remedy}")
    return found


def _adjust() -> None:
    """As many files as the hard limit allows, and the usual stack, for this process and what it starts."""
    for which, wished in ((resource.RLIMIT_NOFILE, FILES_WISHED), (resource.RLIMIT_STACK, STACK)):
        soft, hard = resource.getrlimit(which)
        room = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
        if soft != room and not (which == resource.RLIMIT_NOFILE and (soft > room or soft == resource.RLIM_INFINITY)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(which, (room, hard))


def _exempt(need: Need) -> bool:
    """The kernel does not count the processes of root; the zygote may become somebody else, who has hardly any."""
    return need.which == resource.RLIMIT_NPROC and os.geteuid() == 0 and _soft(need.which) >= PROCESSES


def _soft(which: int) -> int:
    return resource.getrlimit(which)[0]


def _tasks() -> int:
    """Threads of our own user, as far as /proc shows them. root's are not counted by the kernel."""
    count, me = 0, os.geteuid()
    for entry in os.scandir("/proc") if me else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == me:
                count += len(os.listdir(Path(entry, "task")))
    return count
