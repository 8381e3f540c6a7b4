"""Stops every process of a room, and lets it go on: nothing of an author's runs while hidden work does.

A room and the sandbox of hidden work share a machine: its load, its caches, its memory. A process that runs beside
hidden work hears what candidates do with them, so from the moment a candidate is sent to the gate until the answer
leaves, on its schedule, rooms stand still. The processes are stopped by SIGSTOP, which none can catch or ignore; one
that is made while we look is found on the next look, because those that were found make no more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

STILL = "TtZX"  # states of proc(5): stopped, traced, and those that will never run again
PATIENCE_S = 10.0  # for a room that makes processes faster than they can be stopped, or one that waits for a disk


class Process(NamedTuple):
    """One line of /proc/PID/stat. began: in clock ticks since boot; with the number it names one process for good."""

    pid: int
    state: str
    parent: int
    began: int


def stop(first: int) -> bool:
    """Stops the process with this number and everything below it. False: it was not possible in time."""
    end = time.monotonic() + PATIENCE_S
    while (running := [p for p in below(first) if p.state not in STILL]) and time.monotonic() < end:
        for process in running:
            _signal(process, signal.SIGSTOP)
        time.sleep(0.001)
    return not running


def go_on(first: int) -> None:
    """Children go on before their parents, so that no parent finds a child that stands still."""
    for process in reversed(below(first)):
        _signal(process, signal.SIGCONT)


def below(first: int) -> list[Process]:
    """The process and all its descendants, parents first."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    known = {p.pid: p for p in map(_look, numbers) if p is not None}
    children: dict[int, list[Process]] = {}
    for process in known.values():
        children.setdefault(process.parent, []).append(process)
    found = [known[first]] if first in known else []
    for process in found:  # grows while it is read
        found += children.get(process.pid, [])
    return found


def _look(pid: int) -> Process | None:
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return Process(pid, said[0], int(said[1]), int(said[19]))


def _signal(process: Process, number: int) -> None:
    """Not to another process that was given the number since."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            now = _look(process.pid)
            if now is not None and now.began == process.began:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
