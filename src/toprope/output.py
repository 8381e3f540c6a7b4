"""Standard output belongs to the answer of a command: what tasks and libraries print goes to stderr.

`claim` keeps the real standard output aside and puts stderr in its place, for Python's `print`, for C libraries and for
the processes that are started from then on. `say` and `take` lead to the real one.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

_kept: int | None = None  # descriptor of the real standard output, once it is claimed


def claim() -> None:
    """From now on only `say` and the holder of `take` write there. A program that runs our commands in its own process,
    with another sys.stdout, keeps what it has."""
    global _kept
    real = sys.__stdout__
    if _kept is None and real is not None and sys.stdout is real:
        real.flush()
        _kept = os.dup(1)  # not inherited by processes that are started
        os.dup2(2, 1)


def take() -> BinaryIO:
    """The real standard output, for one writer."""
    claim()
    return os.fdopen(1 if _kept is None else _kept, "wb", closefd=False)


def say(text: str) -> None:
    """One answer and a line's end, written at once and whole."""
    write(f"{text}\n")


def write(text: str) -> None:
    """A part of an answer, written at once and whole."""
    if _kept is None:
        print(text, end="", flush=True)
        return
    data = text.encode(sys.stdout.encoding, "backslashreplace")
    while data:
        data = data[os.write(_kept, data) :]


def is_terminal() -> bool:
    return os.isatty(1 if _kept is None else _kept)
