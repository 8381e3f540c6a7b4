"""Compares the limits of this process (ulimit) with the needs of candidates, before anything else is started.

Otherwise a limit that is too low would end a child and look like a crash of its candidate. Source: getrlimit(2).
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from toprope.errors import MachineFault, NoProtection
from toprope.unix import resource

MIB = 1 << 20
MEMORY_MB = 512  # the default of a task's memory limit
BESIDE_MB = 384  # of a child's address space: interpreter and NumPy, the slots for its answers, the public arrays
FILES, FILES_WISHED = 1024, 1 << 16  # a scorer holds one open file per draw
PROCESSES = 64  # in addition to the user's present ones; a scorer needs three and its candidate's threads
CPU_S = 3600
FILE_MB = 256
STACK, STACK_LEAST = 8 * MIB, MIB  # threads of a candidate inherit it, so it is set to the same value everywhere
CONTAINER = (  # a command that a user can copy; the image is that of the Dockerfile
    "in a checkout of toprope `docker build -t toprope .`, then `docker run --rm --user $(id -u):$(id -g)"
    " -v toprope:/state -v $PWD:/work toprope climb TASK`; a container has the kernel of its host or virtual machine"
)


def cores() -> int:
    """How many this process may use, >= 1."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


class Need(NamedTuple):
    """One limit. option: of ulimit. unit: bytes (or items) in which ulimit counts. least: lowest acceptable soft
    limit."""

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
    """Raises NoProtection if this is not Linux, and MachineFault for the first limit that is too low. First it raises
    the soft limit on files as far as possible."""
    if not sys.platform.startswith("linux"):
        raise NoProtection(f"candidates can be run safely on Linux only, this is {sys.platform}. Remedy: {CONTAINER}")
    if short := shortfalls(memory_mb):
        raise MachineFault(short[0])


def shortfalls(memory_mb: int = MEMORY_MB) -> list[str]:
    """One line for each limit that is too low: its value, what is needed, the remedy."""
    _adjust()
    found = []
    for need in needs(memory_mb):
        soft, hard = resource.getrlimit(need.which)
        if soft != resource.RLIM_INFINITY and soft < need.least and not _exempt(need):
            wanted = -(-need.least // need.unit)
            remedy = f"`ulimit {need.option} {wanted}` or `ulimit {need.option} unlimited`"
            if hard != resource.RLIM_INFINITY and hard < need.least:
                remedy += "; raise the hard limit first (administrator, batch system, container)"
            found.append(f"`ulimit {need.option}` is {soft // need.unit}, needed are {wanted} {need.what}; {remedy}")
    return found


def _adjust() -> None:
    """Sets soft limits of this process and its children: as many files as the hard limit allows, the usual stack."""
    for which, wished in ((resource.RLIMIT_NOFILE, FILES_WISHED), (resource.RLIMIT_STACK, STACK)):
        soft, hard = resource.getrlimit(which)
        room = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
        if soft != room and not (which == resource.RLIMIT_NOFILE and (soft > room or soft == resource.RLIM_INFINITY)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(which, (room, hard))


def _exempt(need: Need) -> bool:
    """Whether the limit does not matter: the kernel does not count root's processes, and a zygote of root may change to
    another user, which has hardly any."""
    return need.which == resource.RLIMIT_NPROC and os.geteuid() == 0 and _soft(need.which) >= PROCESSES


def _soft(which: int) -> int:
    return resource.getrlimit(which)[0]


def _tasks() -> int:
    """Number of threads of our user that /proc shows; 0 for root, whose threads the kernel does not count."""
    count, me = 0, os.geteuid()
    for entry in os.scandir("/proc") if me else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == me:
                count += len(os.listdir(Path(entry, "task")))
    return count
