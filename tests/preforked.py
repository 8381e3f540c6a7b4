"""The command line without its start: one process imports toprope and proves the sandbox, then forks for every command.

A command has a process, an environment and streams of its own, as in a shell; what it does not repeat is the imports
and the self-test of the tier, which are a second of CPU time, and it counts one core. Tests about those start `python
-m toprope.cli` anew.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

LARGEST = 1 << 17  # bytes of a request: arguments and environment


class Preforked:
    """Runs commands one after the other. Ends when it is closed, or with the process that made it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def run(self, args: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        """Raises subprocess.TimeoutExpired, and kills the command, after `timeout` seconds."""
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(open(os.memfd_create(name), "rb")) for name in ("stdout", "stderr")]
            asked = json.dumps({"args": args, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
            self._ours.settimeout(timeout)
            socket.send_fds(self._ours, [asked], [s.fileno() for s in streams])
            pid = int(self._ours.recv(64))
            try:
                code = int(self._ours.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._ours.settimeout(None)
                self._ours.recv(64)
                raise subprocess.TimeoutExpired(args, timeout) from None
            out, err = (Path(f"/proc/self/fd/{s.fileno()}").read_text() for s in streams)
            return subprocess.CompletedProcess(args, code, out, err)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


def serve(sock: socket.socket) -> None:
    from toprope.cli import main
    from toprope.errors import TopropeError
    from toprope.run import session  # noqa: F401  what most commands import
    from toprope.sandbox import selftest

    with contextlib.suppress(TopropeError):  # a machine without a tier: the command says so
        selftest.best_tier()
    while True:
        asked, fds, _, _ = socket.recv_fds(sock, LARGEST, 2)
        if not asked:
            return
        command = json.loads(asked)
        if {"llm", "hackrate"} & set(command["args"]):
            import inspect_ai.log  # noqa: F401  a second of CPU time and more, once and not for every such command
        pid = os.fork()
        if pid == 0:
            sock.close()
            _become(command, fds)
            _end(_status(main))
        for fd in fds:
            os.close(fd)
        sock.send(str(pid).encode())
        sock.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(asked: dict, fds: list[int]) -> None:
    for target, fd in zip((1, 2), fds, strict=True):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    os.sched_getaffinity = lambda _: {0}  # a climb without --workers then starts one scorer of a kind, not one per core
    paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p not in sys.path]
    sys.path[1:1] = paths  # as the interpreter would at its start
    os.chdir(asked["folder"])
    sys.argv = ["toprope", *asked["args"]]


def _status(main) -> int:
    """What the interpreter makes of the command's end."""
    try:
        main()
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> None:
    """As the interpreter ends, but for what belongs to the process that was forked."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
