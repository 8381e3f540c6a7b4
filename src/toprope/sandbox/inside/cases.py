"""Many small cases for one function in one call: bytes in, bytes out.

Packed cases: u4 number of cases; each: u2 number of arguments, u2 number of files, then every argument, stdin, and
every file's name and content, each as u4 length and the bytes. Packed answers, one row of `width` bytes per case: u1
how it ended, u1 exit code, u2 length of stdout, u2 length of stderr, the two, zeros. Little-endian.

Like all of `inside`, this runs in a process that the candidate owns: readers of the rows must not trust them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

HEAD = struct.Struct("<BBHH")
COUNTS = struct.Struct("<HH")
DONE, RAISED, TOO_LONG, NOT_BYTES = 1, 2, 3, 4  # how a case ended


class PackedCase(NamedTuple):
    argv: list[bytes]
    stdin: bytes
    files: dict[bytes, bytes]


def unpack(data: bytes) -> list[PackedCase]:
    """The cases of a packed array, which a scorer made."""
    (n,), at = struct.unpack_from("<I", data), 4
    found = []
    for _ in range(n):
        n_argv, n_files = COUNTS.unpack_from(data, at)
        at += COUNTS.size
        parts = []
        for _ in range(n_argv + 1 + 2 * n_files):
            (length,) = struct.unpack_from("<I", data, at)
            parts.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        named = parts[n_argv + 1 :]
        found.append(PackedCase(parts[:n_argv], parts[n_argv], dict(zip(named[::2], named[1::2], strict=True))))
    return found


def play(
    fn: Callable[..., Any], cases: list[PackedCase], width: int, kwargs: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], BaseException | None]:
    """(cases, width) packed answers, u1, and the first exception of a case, or None. An exception counts as a wrong
    answer, so that an incomplete program is judged by what it can do."""
    rows, first = [], None
    for case in cases:
        try:
            row = packed(fn(list(case.argv), case.stdin, dict(case.files), **kwargs), width)
        except BaseException as e:
            row, first = HEAD.pack(RAISED, 0, 0, 0), first or e
        rows.append(row.ljust(width, b"\0"))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), width), first


def packed(answer: Any, width: int) -> bytes:
    """One row without the zeros at its end."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return HEAD.pack(NOT_BYTES, 0, 0, 0)
    out, err, code = answer
    if not (isinstance(out, bytes) and isinstance(err, bytes) and isinstance(code, int) and 0 <= code <= 255):
        return HEAD.pack(NOT_BYTES, 0, 0, 0)
    if HEAD.size + len(out) + len(err) > width:
        return HEAD.pack(TOO_LONG, 0, 0, 0)
    return HEAD.pack(DONE, code, len(out), len(err)) + out + err
