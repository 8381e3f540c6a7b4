"""Stops and continues every process of a workspace, so that nothing of an author's runs beside hidden work.

A workspace and the sandbox of hidden work share a machine: its load, caches and memory. A process that runs beside
hidden work could observe what candidates do with these, so workspaces are paused from the moment a candidate is sent to
the gate until the answer leaves on its schedule. The processes are stopped by SIGSTOP, which they can neither catch nor
ignore. A process made during a pass is found by the next pass, because stopped processes make no more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

STILL = "TtZX"  # states of proc(5): stopped, traced, zombie and dead
PATIENCE_S = 10.0  # for a workspace that makes processes faster than they can be stopped, or that waits for a disk


class Process(NamedTuple):
    """One line of /proc/PID/stat. began: in clock ticks since boot; pid and began together identify one process."""

    pid: int
    state: str
    parent: int
    began: int


def stop(first: int) -> bool:
    """Stops the process with this number and all its descendants. False: not all could be stopped within
    PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while (running := [p for p in below(first) if p.state not in STILL]) and time.monotonic() < end:
        for process in running:
            _signal(process, signal.SIGSTOP)
        time.sleep(0.001)
    return not running


def go_on(first: int) -> None:
    """Continues the process and its descendants, children before parents, so that no parent sees a stopped child."""
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
    for process in found:  # the list grows during the loop
        found += children.get(process.pid, [])
    return found


def _look(pid: int) -> Process | None:
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return Process(pid, said[0], int(said[1]), int(said[19]))


def _signal(process: Process, number: int) -> None:
    """Sends a signal, but not to another process that got the same number meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            now = _look(process.pid)
            if now is not None and now.began == process.began:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
