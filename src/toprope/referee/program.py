"""A process with limits that runs the program a task imitates: `python -m toprope.referee.program FD TASK [VAULT]`.

The program is our code, but its questions are hostile: a few kilobytes can demand minutes of work and gigabytes of
output. So it runs in a process of its own, which is restarted after a question has ended it. A question that reaches a
limit gets an answer that names the limit.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from toprope import wire
from toprope.errors import RunError
from toprope.unix import resource

CPU_S = 4  # seconds of processor time for one question
WALL_S = 30.0  # seconds for one question, including waiting
START_S = 120.0  # seconds until the process is ready: it loads the task
MEMORY = 512 << 20  # bytes of address space in addition to that of the idle process
ANSWER_BYTES = 16 << 10  # of stdout and stderr together; the longest answer of a case has 1 KiB
_LENGTH = struct.Struct("<I")


class ProgramReply(msgspec.Struct, frozen=True):
    """One answer. ended: why the program was ended before it answered, "" if it answered."""

    out: bytes = b""
    err: bytes = b""
    code: int = -1
    ended: str = ""


class Cost(NamedTuple):
    """The cost of an answer: its bytes, and seconds of wall time."""

    bytes: int
    seconds: float


class ReferenceProcess:
    """The process, started at the first question. A context manager; not for use by several threads."""

    def __init__(self, task: str, vault: Path | None = None) -> None:
        """vault: whose secret the program depends on; None: this user's."""
        self._task, self._vault = task, vault
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None

    def query(self, argv: Sequence[bytes], stdin: bytes, files: Mapping[bytes, bytes]) -> tuple[ProgramReply, Cost]:
        """The answer, or why the program was ended before it answered. Raises RunError if the process does not
        start."""
        if self._process is None:
            self._start()
        began = time.monotonic()
        said = self._asked(wire.encode([list(argv), stdin, dict(files)]))
        return said, Cost(len(said.out) + len(said.err), time.monotonic() - began)

    def __enter__(self) -> ReferenceProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int | None:
        """Ends the process; returns its exit status, or None if it was not running."""
        if self._process is None or self._sock is None:
            return None
        self._sock.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        code, self._process = self._process.wait(), None
        return code

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = wire.command(
                "toprope.referee.program", theirs.fileno(), self._task, *([self._vault] if self._vault else [])
            )
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=wire.child_environment(), start_new_session=True, **streams
            )  # type: ignore[call-overload]
        self._sock = ours
        try:
            ready = self._received(time.monotonic() + START_S, ANSWER_BYTES)
        except (EOFError, TimeoutError, OverflowError) as e:
            self.close()
            raise RunError(f"the program of {self._task} did not start ({type(e).__name__}); try again") from None
        if ready.ended:
            self.close()
            raise RunError(f"the program of {self._task} did not start: {ready.ended}")

    def _asked(self, question: bytes) -> ProgramReply:
        assert self._sock is not None
        try:
            self._sock.settimeout(WALL_S)
            self._sock.sendall(_LENGTH.pack(len(question)) + question)
            return self._received(time.monotonic() + WALL_S, ANSWER_BYTES)
        except (TimeoutError, OverflowError) as e:
            self.close()
            most = f"{ANSWER_BYTES} bytes of output" if isinstance(e, OverflowError) else f"{WALL_S:.0f} s"
            return ProgramReply(ended=f"more than {most}")
        except (EOFError, OSError, msgspec.DecodeError):
            code = self.close()
            return ProgramReply(
                ended=f"more than {CPU_S} s of processor time" if code == -24 else f"exit status {code}"
            )

    def _received(self, until: float, most: int) -> ProgramReply:
        """The next reply. Raises TimeoutError after `until`, EOFError, or OverflowError if its announced length is
        above `most` bytes."""
        (n,) = _LENGTH.unpack(self._exactly(_LENGTH.size, until))
        if n > most + 1024:  # allows for the packing
            raise OverflowError
        return msgspec.msgpack.decode(self._exactly(n, until), type=ProgramReply)

    def _exactly(self, n: int, until: float) -> bytes:
        assert self._sock is not None
        data = b""
        while len(data) < n:
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            if not (part := self._sock.recv(n - len(data))):
                raise EOFError
            data += part
        return data


# ---------------------------------------------------------------- inside the process


def main() -> None:
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        from toprope.protocols import imitation
        from toprope.tasks import registry

        task = registry.load(sys.argv[2], *map(Path, sys.argv[3:]))
        assert imitation(task)
    except Exception as e:  # a task's own code may raise anything; the other end reports it in one line
        _send(sock, ProgramReply(ended=" ".join(f"{type(e).__name__}: {e}".split())[:400]))
        return
    _bound()
    _send(sock, ProgramReply())
    with contextlib.suppress(EOFError):
        while True:
            _send(sock, _answer(task, *msgspec.msgpack.decode(_read(sock))))


def _bound() -> None:
    """Sets limits for all questions; the limit on processor time is set for each question."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def _answer(task: Any, argv: list[bytes], stdin: bytes, files: dict[bytes, bytes]) -> ProgramReply:
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
    try:
        out, err, code = task.run_program(argv, stdin, files)
    except MemoryError:
        return ProgramReply(ended=f"more than {MEMORY >> 20} MiB of memory")
    except Exception as e:  # an error of the program is an answer too
        return ProgramReply(ended=f"{type(e).__name__}, an error of its own")
    if len(out) + len(err) > ANSWER_BYTES:
        return ProgramReply(ended=f"more than {ANSWER_BYTES} bytes of output")
    return ProgramReply(out, err, code)


def _send(sock: socket.socket, said: ProgramReply) -> None:
    data = msgspec.msgpack.encode(said)
    sock.sendall(_LENGTH.pack(len(data)) + data)


def _read(sock: socket.socket) -> bytes:
    (n,) = _LENGTH.unpack(_all(sock, _LENGTH.size))
    return _all(sock, n)


def _all(sock: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        if not (part := sock.recv(n - len(data))):
            raise EOFError
        data += part
    return data


if __name__ == "__main__":
    main()
