"""Checks what a child wrote: notes on the socket, frames in the slots. Nothing in these bytes is trusted.

A frame counts if its nonce, number and kind are the expected ones; its arrays count if finite and in range. All frames
of a window are compared at once as columns. The layout is exact, so there is nothing to parse and nothing to unpickle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.sandbox.inside.channel import CRASH, FIRST, INVALID, MEMORY, NOTE, OK, TEXT_MAX, frame
from toprope.sandbox.inside.model import PART_MAX
from toprope.types import Array, Outcome, Round

KINDS = {OK: Outcome.OK, INVALID: Outcome.INVALID, CRASH: Outcome.CRASH, MEMORY: Outcome.MEMORY}


class Window(NamedTuple):
    """One request to a child: variants (n,) u4 in order, their nonces (n,) u8, the layout of a frame, its arrays."""

    variants: NDArray[np.uint32]
    nonces: NDArray[np.uint64]
    layout: np.dtype[Any]
    arrays: tuple[Array, ...]


class Note(NamedTuple):
    kind: bytes
    number: int
    text: bytes


def layout(round_: Round) -> tuple[np.dtype[Any], tuple[Array, ...]]:
    arrays = tuple(a for call in round_.calls for a in call.returns)
    return frame([(a.name, a.dtype, list(a.shape)) for a in arrays]), arrays


def read(slots: Any, window: Window, finished: int, nonce: bool = True) -> tuple[NDArray[Any], int]:
    """A private copy of the first `finished` frames, cut at the first one that is not genuine, and its length."""
    got = np.frombuffer(slots, window.layout, finished, FIRST).copy()  # the child may still be writing to the original
    genuine = (got["#kind"] >= min(KINDS)) & (got["#kind"] <= max(KINDS))
    if nonce:
        genuine &= (got["#nonce"] == window.nonces[:finished]) & (got["#variant"] == window.variants[:finished])
    good = finished if genuine.all() else int(np.argmin(genuine))
    return got[:good], good


def faults(got: NDArray[Any], arrays: tuple[Array, ...]) -> dict[int, str]:
    """Position -> a line that says which array is out of range or not finite."""
    found: dict[int, str] = {}
    for spec in arrays:
        values = got[spec.name]  # (n, *shape)
        low, high = spec.low, spec.high
        wrong = ~np.isfinite(values)
        for bad, text in (
            (wrong, "holds a number that is not finite"),
            (None if low is None else values < low, f"holds a number below {low}"),
            (None if high is None else values > high, f"holds a number above {high}"),
        ):
            if bad is not None and bad.any():
                for i in np.flatnonzero(bad.any(axis=tuple(range(1, bad.ndim)))).tolist():
                    found.setdefault(i, f"{spec.name} {text}")
    return found


def notes(inbox: bytearray) -> list[Note] | None:
    """Removes all complete notes from the front of the inbox and returns them. None: it holds a malformed note."""
    taken = []
    while len(inbox) >= NOTE.size:
        kind, number, length = NOTE.unpack_from(inbox)
        if kind not in b"SMHXEDTPQ" or length > (PART_MAX if kind in b"PQ" else 4 * TEXT_MAX):
            return None
        if len(inbox) < NOTE.size + length:
            break
        taken.append(Note(kind, number, bytes(inbox[NOTE.size : NOTE.size + length])))
        del inbox[: NOTE.size + length]
    return taken
