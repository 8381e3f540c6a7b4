"""Public arrays as one sealed memfd: written once, mapped read-only by every child, shared and never copied.

The memory is sealed against writing, growing and shrinking (memfd_create(2), F_ADD_SEALS). Children get a descriptor
that was opened read-only, so that mprotect cannot make a mapping writable, even on kernels older than 6.7.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.unix import fcntl

ALIGN = 64


class PublicMemory:
    """The public part of one draw. Make it with `of`; free it with `close` or as a context manager.

    fd: read-only descriptor. size: bytes.
    Layout: u8 length of a JSON table [[name, dtype, shape, offset]], the table, the arrays, each at a multiple of 64.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.size = fd, size

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> PublicMemory:
        """Copy the arrays into a new sealed memory. Raises UsageError for an array of objects."""
        ready = {name: _plain(name, a) for name, a in arrays.items()}
        text, size = _table(ready)
        writable = os.memfd_create("public", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(writable, size)
            os.pwrite(writable, len(text).to_bytes(8, "little") + text, 0)
            for (_, _, _, start), a in zip(json.loads(text), ready.values(), strict=True):
                _write(writable, a.tobytes(), start)
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals)
            return cls(os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC), size)
        finally:
            os.close(writable)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> PublicMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plain(name: str, a: NDArray[Any]) -> NDArray[Any]:
    a = np.asarray(a)
    if a.dtype.hasobject or a.dtype.kind not in "biufcSU":
        raise UsageError(f"public array {name!r} has dtype {a.dtype}; expected numbers, bytes or text of fixed width")
    return a


def _table(arrays: Mapping[str, NDArray[Any]]) -> tuple[bytes, int]:
    """The table and the total size. Offsets depend on the table's length, so space for an upper bound is reserved."""
    room = 8 + sum(len(name.encode()) * 6 + len(str(a.shape)) + 64 for name, a in arrays.items()) + 16
    start, rows = -(-room // ALIGN) * ALIGN, []
    for name, a in arrays.items():
        rows.append([name, a.dtype.str, list(a.shape), start])
        start += -(-a.nbytes // ALIGN) * ALIGN
    text = json.dumps(rows).encode()
    assert len(text) + 8 <= room, "table outgrew its room"
    return text, start


def _write(fd: int, data: bytes, start: int) -> None:
    rest = memoryview(data)
    while rest:
        n = os.pwrite(fd, rest, start)
        rest, start = rest[n:], start + n
