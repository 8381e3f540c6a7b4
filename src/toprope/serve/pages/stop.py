"""Ends the process of a climb, as Ctrl-C in its terminal would: the run can be resumed.

Which process that is says the kernel: the one that holds the lock of the run directory. A number of a process may be
used again, so the process is pinned first (pidfd), and then checked: it holds this lock, it is this user's, and it is a
command of toprope. A climb in a program of the user's own is left alone, because a signal could end the program.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from toprope.errors import UsageError
from toprope.serve.book import Book
from toprope.serve.site import Site, home

COMMANDS = ("climb", "resume", "mcp")


def stop(site: Site, request: Request, book: Book) -> Response:
    """Answers the button, and leads back to the run's page."""
    name = book.path.name
    pid = holder(book.path)
    if pid is None or not end(book.path, pid):
        raise UsageError(
            f"no command of toprope holds run {name} any more, or it runs inside a program of yours; end it there"
        )
    return RedirectResponse(home(name) + "?told=stop", 303)


def end(run: Path, pid: int) -> bool:
    """Sends SIGTERM to the process if it is the one that holds the run; whether it was sent."""
    try:
        pinned = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if holder(run) != pid:  # asked again, now that the number cannot come to mean another process
            return False
        signal.pidfd_send_signal(pinned, signal.SIGTERM)
        return True
    except OSError:
        return False
    finally:
        os.close(pinned)


def holder(run: Path) -> int | None:
    """The process of a toprope command of this user that holds the run's lock; None without one."""
    try:
        lock = (run / "lock").stat()
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        found = [int(words[4]) for words in lines if words[1] == "FLOCK" and words[5].endswith(f":{lock.st_ino}")]
    except (OSError, IndexError, ValueError):
        return None
    return next((pid for pid in found if pid > 0 and _holds(pid, lock) and _ours(pid)), None)


def _holds(pid: int, lock: os.stat_result) -> bool:
    """Whether one of its descriptors is this lock: inode numbers alone repeat on other file systems."""
    try:
        return any(os.path.samestat(fd.stat(), lock) for fd in Path(f"/proc/{pid}/fd").iterdir() if _leads(fd))
    except OSError:
        return False


def _leads(fd: Path) -> bool:
    try:
        return fd.readlink().name == "lock"
    except OSError:
        return False


def _ours(pid: int) -> bool:
    """Whether it is this user's, and a command of toprope that holds a run."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        mine = Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except OSError:
        return False
    named = [
        i for i, word in enumerate(words[:6]) if Path(word).name == "toprope" or word in ("toprope.cli", "toprope")
    ]
    return mine and any(word in COMMANDS for i in named for word in words[i + 1 : i + 2])
