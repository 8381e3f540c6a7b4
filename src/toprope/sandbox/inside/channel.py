"""What scorer and child say to each other, and how it is laid out in bytes; the scorer imports this file, too.

Wire, scorer to child (trusted direction): <json length, blob length>, JSON, blob, at most one descriptor.
    job    files, parameter levels, rows, entries wanted, slots memfd      -> hello
    case   public arrays as a sealed memfd                                  -> nothing
    round  calls, variants, nonces, inline arrays                           -> frames in the slots, then "done"
Wire, child to scorer: <kind, number, length>, text; the first is "S", set up, or "M", the machine does not allow it,
both before any of the candidate's code is run; "T": a decoy was touched; "P", "Q": part and end of a question to a
model, which is answered before anything else. Frames go through the slots memfd: a counter (the round's number
above, finished variants below), then per variant nonce, number, kind and the declared arrays, exact bytes. What is
finished survives a kill.
"""

from __future__ import annotations

import array
import json
import mmap
import os
import socket
import struct
from typing import Any, NamedTuple

import numpy as np

OK, INVALID, CRASH, MEMORY = 1, 2, 3, 4  # frame kinds
LENGTHS = struct.Struct("<II")
NOTE = struct.Struct("<cIH")
HEAD = struct.Struct("<QII")
ROUND = 32  # from this bit upwards the counter holds the number of the round
FIRST = 64  # bytes before the first frame: the counter on a cache line of its own
STATUS = struct.Struct("<idd")  # wait status, CPU seconds of the child, CPU seconds of the zygote for it
NO_CHILD = b"N"  # first byte of the answer if no child could be made; the reason follows
TEXT_MAX = 500


class ParentMessage(NamedTuple):
    meta: dict[str, Any]
    blob: memoryview
    fd: int


class ParentChannel:
    """The socket to the scorer. It uses recvmsg, read and write only: the seccomp filter allows no other calls."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)

    def receive(self) -> ParentMessage:
        head, extra, _, _ = self.socket.recvmsg(LENGTHS.size, socket.CMSG_SPACE(4))
        if not head:
            os._exit(0)
        fd = array.array("i", extra[0][2])[0] if extra else -1
        n_json, n_blob = LENGTHS.unpack(head + self.exactly(LENGTHS.size - len(head)))
        return ParentMessage(json.loads(bytes(self.exactly(n_json))), self.exactly(n_blob), fd)

    def exactly(self, n: int) -> memoryview:
        """The next n bytes, read-only; received where they stay, because rounds of many variants are large."""
        data = bytearray(n)
        rest = memoryview(data)
        while rest:
            got = self.socket.recvmsg_into([rest])[0]
            if not got:
                os._exit(0)
            rest = rest[got:]
        return memoryview(data).toreadonly()

    def note(self, kind: bytes, number: int, text: bytes) -> None:
        data = memoryview(NOTE.pack(kind, number, len(text)) + text)
        while data:
            data = data[os.write(self.fd, data) :]


def mapped(job: ParentMessage) -> mmap.mmap:
    """The shared memory for answers that came with the job."""
    slots = mmap.mmap(job.fd, job.meta["slots"])
    os.close(job.fd)
    return slots


def frame(returns: list[tuple[str, str, list[int]]]) -> np.dtype[Any]:
    """The layout of one frame; the scorer builds the same one."""
    head: list[Any] = [("#nonce", "<u8"), ("#variant", "<u4"), ("#kind", "<u4")]
    return np.dtype(head + [(name, "<" + dtype.lstrip("<"), tuple(shape)) for name, dtype, shape in returns])


def table(memory: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a public memory: u8 length of the JSON table [[name, dtype, shape, offset]], the table, the data."""
    length = int.from_bytes(memory[:8], "little")
    return {name: view(memory, dtype, shape, start) for name, dtype, shape, start in json.loads(memory[8 : 8 + length])}


def view(data: Any, dtype: str, shape: list[int], start: int) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        empty = np.empty(shape, kind)
        empty.flags.writeable = False
        return empty
    return np.frombuffer(data, kind, count, start).reshape(shape)
