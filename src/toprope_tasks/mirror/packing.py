"""Cases on their way to a candidate, answers on their way back, and what an answer is worth. Scorer's side.

The layout is that of sandbox/inside/cases.py. Rows that come back were written by the candidate's process: `parse`
takes what has exactly the layout and nothing else, and a row that has not is a wrong answer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
HEAD = struct.Struct("<BBHH")  # how it ended, exit code, length of stdout, length of stderr
COUNTS = struct.Struct("<HH")
DONE = 1
LINES, CODE, ERR = 0.4, 0.1, 0.1  # most partial credit: exact is always worth more


class ProgramCase(NamedTuple):
    """One invocation."""

    argv: tuple[bytes, ...]
    stdin: bytes = b""
    files: tuple[tuple[bytes, bytes], ...] = ()


class ProgramAnswer(NamedTuple):
    out: bytes
    err: bytes
    code: int


def pack(cases: Sequence[ProgramCase]) -> Bytes:
    """(size,) all cases of a draw."""
    data = bytearray(struct.pack("<I", len(cases)))
    for case in cases:
        data += COUNTS.pack(len(case.argv), len(case.files))
        for part in (*case.argv, case.stdin, *(x for file in case.files for x in file)):
            data += struct.pack("<I", len(part)) + part
    return np.frombuffer(bytes(data), np.uint8)


def row(answer: ProgramAnswer, width: int) -> Bytes:
    """(width,) the one row that says this. Raises ValueError for an answer that does not fit."""
    data = HEAD.pack(DONE, answer.code, len(answer.out), len(answer.err)) + answer.out + answer.err
    if len(data) > width:
        raise ValueError(f"an answer of {len(data)} bytes; a row has {width}")
    return np.frombuffer(data.ljust(width, b"\0"), np.uint8)


def parse(data: bytes) -> ProgramAnswer | None:
    """The answer in a row; None for a case that was not answered, and for a malformed row."""
    if len(data) < HEAD.size:
        return None
    ended, code, n_out, n_err = HEAD.unpack_from(data)
    end = HEAD.size + n_out + n_err
    if ended != DONE or end > len(data) or data[end:].strip(b"\0"):
        return None
    return ProgramAnswer(data[HEAD.size : HEAD.size + n_out], data[HEAD.size + n_out : end], code)


def exact(answers: Bytes, rows: Bytes) -> NDArray[np.bool_]:
    """(k, n) whether answers (k, n, width) say, to the byte, what rows (n, width) say: a layout has one row for each
    answer, so rows may be compared as they are."""
    return np.asarray((answers == rows).all(axis=-1))


def credit(said: ProgramAnswer | None, gold: ProgramAnswer) -> float:
    """What an answer that is not exact is worth on practice cases, in [0, 0.6]."""
    if said is None:
        return 0.0
    return LINES * _same_lines(said.out, gold.out) + CODE * (said.code == gold.code) + ERR * (said.err == gold.err)


def _same_lines(said: bytes, gold: bytes) -> float:
    """Share of lines that are right and in their place; nothing for being silent where nothing was to be said."""
    ours, theirs = said.split(b"\n"), gold.split(b"\n")
    if not gold:
        return 0.0
    same = sum(a == b for a, b in zip(ours[:-1], theirs[:-1], strict=False))
    return same / max(len(ours) - 1, len(theirs) - 1, 1)
