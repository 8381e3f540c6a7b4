"""A draw's public part as sealed memory: written once by the scorer, mapped read-only by children, changed by nobody."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGN = 64
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class PublicMemory:
    """fd: the sealed memfd. table: [name, dtype, shape, count, offset] of each array. size: bytes, at least 1."""

    def __init__(self, fd: int, size: int, table: list[list[Any]]) -> None:
        self.fd, self.size, self.table = fd, size, table

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> PublicMemory:
        fd = os.memfd_create("public", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        table: list[list[Any]] = []
        offset = 0
        for name, array in arrays.items():
            data = np.ascontiguousarray(array)
            os.pwrite(fd, data.tobytes(), offset)
            table.append([name, data.dtype.str, list(data.shape), math.prod(data.shape), offset])
            offset = -(-(offset + data.nbytes) // ALIGN) * ALIGN
        size = max(offset, 1)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        return cls(fd, size, table)

    def close(self) -> None:
        os.close(self.fd)
