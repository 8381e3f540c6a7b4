"""The shared directory of `--executor dir:PATH`: its layout, and file operations that hold on network file systems.

    PATH/workers/WORKER                 a worker: a `Worker`, touched while it lives
    PATH/sessions/SESSION/terms         `elsewhere.Terms`
                          /alive        touched while the run lives
                          /files/DIGEST a tree or a space, as `messages.Load`
                          /todo/WORK    a block to do, as `messages.Work`
                          /taken/WORK+WORKER    the same file while a worker has it: its lease, touched meanwhile
                          /done/WORK    the answer: `messages.Done` or `messages.Failed`
                          /barred/WORKER  a worker that sent a wrong answer
                          /refused/WORKER one line: why a worker does not work for this session

Everything is msgpack with a schema and is read with a limit on its size; nothing is unpickled. A file appears under its
name complete, or not at all. The clocks of machines may differ: every time is the file server's, as the mtime of a file
that was touched just now.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec

from toprope import wire
from toprope.errors import UsageError

LARGEST = 256 << 20  # bytes of one file; a block of 10,000 variants on 1,000 draws is 80 MB
NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Unreadable(Exception):
    """A file that is too large, no regular file, or does not hold what it should."""


class Worker(msgspec.Struct, frozen=True, tag=True):
    """node: its host name. lanes: blocks that it does at the same time."""

    node: str
    lanes: int
    toprope: str


def made(path: Path) -> Path:
    """The shared directory, made if it is missing. Raises UsageError if other users may use it: writing it allows
    to forge practice scores, and reading it shows where decoys lie."""
    try:
        path.mkdir(parents=True, mode=0o700, exist_ok=True)
        found = path.stat()
        for name in ("workers", "sessions"):
            (path / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as e:
        raise UsageError(f"cannot use shared directory {path}: {e.strerror}; name one that you can write") from e
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(
            f"shared directory {path} belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}; "
            f"expected yours with mode 700, because its writers can forge practice scores: `chmod 700 {path}`, "
            "or name a new folder in it"
        )
    return path


def names(folder: Path) -> list[str]:
    """Names in it, sorted, without files that are still being written; [] if it is gone."""
    try:
        return sorted(n for n in os.listdir(folder) if n[0] != "." and NAME.fullmatch(n.partition("+")[0]))
    except OSError:
        return []


def put(path: Path, value: Any) -> bool:
    """Writes a file under its name at once; False if there is one already. Raises OSError, also if the folder is
    gone."""
    draft = path.with_name(f".{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(wire.encode(value))
        os.link(draft, path)  # unlike a rename, it fails if the file exists
    except FileExistsError:
        return False
    except OSError as e:
        if e.errno not in NO_LINKS:
            raise
        os.rename(draft, path)  # a file system without links; two answers to one block are equal
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return True


def get(path: Path, kind: Any) -> Any:
    """What the file holds, of type `kind`. Raises OSError if it is missing, Unreadable if it holds anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not stop us
    except OSError as e:
        if e.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise Unreadable(f"{path.name} is not a regular file") from None
        raise
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        os.close(fd)
        raise Unreadable(f"{path.name} is not a regular file of at most {LARGEST} bytes")
    with os.fdopen(fd, "rb") as file:
        data = file.read(LARGEST)
    try:
        return wire.decode(data, kind)
    except (ValueError, msgspec.MsgspecError) as e:
        raise Unreadable(f"{path.name}: {str(e)[:200]}") from None


def moved(path: Path, to: Path) -> bool:
    """Renames; False if somebody else was faster."""
    try:
        os.rename(path, to)
    except OSError:
        return False
    return True


def touch(path: Path) -> bool:
    """Sets its mtime to the file server's time (utimensat with no times); False if it is gone."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def age(path: Path, now: float) -> float:
    """Seconds since it was touched; infinity if it is gone. Opening it makes a network file system ask its server (NFS:
    close-to-open)."""
    return now - _touched(path)


def now(own: Path) -> float:
    """The file server's time, from a file of one's own; -infinity if it is gone."""
    touch(own)
    return _touched(own)


def _touched(path: Path) -> float:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return float("-inf")
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
