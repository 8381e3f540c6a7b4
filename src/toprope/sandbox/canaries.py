"""Canaries: small programs that try what a candidate would try in order to escape. The self-test runs them.

A program that returns has succeeded; one that is refused (OSError) or killed has failed. Every tier must stop the set
EVERY. The set NAMESPACES tests namespaces alone and runs with Landlock and seccomp off, because otherwise these would
stop it first. `CanaryDecoys` are the things on this machine that it looks for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
from pathlib import Path
from typing import Any

import numpy as np

from toprope.sandbox.namespaces import HOST

# canary -> (layer, kind of remedy, program)
EVERY: dict[str, tuple[str, str, str]] = {
    "read a file outside": ("files", "files", "open(PATHS[0]).read()"),
    "read toprope's own code": ("files", "files", "open(PATHS[1]).read()"),
    "list the root directory": ("files", "files", "os.listdir('/')"),
    "read the scorer's environment": ("proc", "files", "open(f'/proc/{SCORER}/environ').read()"),
    "read its own memory map": ("proc", "files", "open('/proc/self/maps').read()"),
    "write a file": ("writes", "files", "open(PATHS[0] + '.new', 'w').write('x')"),
    "open a socket": ("network", "kernel", "socket.socket()"),
    "connect to a local socket": ("network", "kernel", "socket.socket(socket.AF_UNIX)"),
    "fork": ("processes", "kernel", "os.fork() or os._exit(0)"),
    "execute a program": ("processes", "kernel", "os.execv('/bin/true', ['true'])"),
    "signal its parent": ("signals", "kernel", "os.kill(os.getppid(), 0)"),
    "trace its parent": ("tracing", "kernel", "must(libc.ptrace(0x4206, os.getppid(), 0, 0))"),
    "call io_uring": ("tripwires", "kernel", "libc.syscall(425, 1, bytes(120))"),
    "make a memory file": ("tripwires", "kernel", "os.memfd_create('x')"),
    "raise a limit": ("limits", "kernel", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"),
    "take too much memory": ("limits", "limits", "np.empty(1 << 30, np.uint8)"),
    "run too long": ("limits", "limits", "spin()"),
    "use an inherited descriptor": ("descriptors", "limits", "must(-1 if not strangers() else 0)"),
}
NAMESPACES: dict[str, tuple[str, str, str]] = {
    "find a file outside": ("mounts", "namespaces", "os.stat(PATHS[0])"),
    "find toprope's own code": ("mounts", "namespaces", "os.stat(PATHS[1])"),
    "find /proc": ("mounts", "namespaces", "os.listdir('/proc')"),
    "own the root directory": ("mounts", "namespaces", "must(0 if os.access('/', os.W_OK) else -1)"),
    "find another process": ("process ids", "namespaces", "must(0 if others() else -1)"),
    "reach a local port": ("network devices", "namespaces", "socket.create_connection(('127.0.0.1', PORT), 1)"),
    "reach an abstract socket": ("network devices", "namespaces", "socket.socket(socket.AF_UNIX).connect(NAME)"),
    "see a network card": ("network devices", "namespaces", "must(len(socket.if_nameindex()) - 2)"),
    "find shared memory": ("ipc", "namespaces", "must(libc.shmget(KEY, 0, 0))"),
    "learn the machine's name": ("host name", "namespaces", "must(0 if os.uname().nodename != HOST else -1)"),
    "make a user namespace": ("user namespaces", "namespaces", "must(libc.unshare(0x10000000))"),
}
IPC_CREAT, IPC_RMID = 0o1000, 0
PROGRAM = """
import ctypes, json, os, resource, socket
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
def spin():
    while True:
        pass
def strangers():
    found = []
    for fd in range(4, 64):
        try:
            if os.fstat(fd).st_nlink:  # the memories it was handed have no link
                found.append(fd)
        except OSError:
            pass
    return found
def others():
    found = []
    for pid in {SCORER, *range(1, 5000)} - {1, os.getpid()}:  # its own: the zygote is process 1
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        found.append(pid)
    return found
def f(paths, numbers, *, params):
    global PATHS, HOST, SCORER, PORT, KEY, NAME
    PATHS, (SCORER, PORT, KEY) = paths.tolist(), numbers.tolist()
    NAME = "\\0" + PATHS[2]
    HOST = PATHS[3]
    if params["canary"] is None:
        return [2.0]
    try:
        eval(params["canary"])
    except (OSError, ValueError):  # setrlimit turns a refusal into ValueError
        return [0.0]
    return [1.0]
"""


class CanaryDecoys:
    """Things on this machine for canaries to find: a readable file, a port, an abstract socket, shared memory.

    A context manager. `public`: the arrays that tell the canaries about them.
    """

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)  # readable by anyone, so that only the sandbox protects it
        self.file = folder / "canary"
        self.file.write_text("gold")
        self.port = socket.create_server(("127.0.0.1", 0))
        self.name = f"\0toprope-canary-{secrets.token_hex(8)}"
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(self.name)
        self.abstract.listen(1)
        self.key = secrets.randbits(30) | 1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._shared = self._libc.shmget(self.key, 4096, IPC_CREAT | 0o666)

    @property
    def public(self) -> dict[str, np.ndarray[Any, Any]]:
        return {
            "paths": np.array([str(self.file), str(Path(__file__)), self.name[1:], HOST]),
            "numbers": np.array([os.getpid(), self.port.getsockname()[1], self.key]),
        }

    def __enter__(self) -> CanaryDecoys:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()
        self.abstract.close()
        if self._shared >= 0:
            with contextlib.suppress(OSError):
                self._libc.shmctl(self._shared, IPC_RMID, None)
