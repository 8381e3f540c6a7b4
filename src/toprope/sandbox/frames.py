"""A child's answers as the scorer reads them: exact, bounded, in order, and never more than bytes.

A frame is (nonce of the round, variant, kind, length, payload). Good frames of one round all have the same length, so
a whole batch is compared and cut into columns by numpy; anything else is looked at one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Outputs
from toprope.types import Array, Outcome

HEADER = struct.Struct("<8sIBI")  # mirrored in harness.py
OK, CRASH, MEMORY, INVALID, HELLO = range(5)
TEXT = 500  # bytes of an error message; also the bound of any frame that is no answer
_KINDS = {CRASH: Outcome.CRASH, MEMORY: Outcome.MEMORY, INVALID: Outcome.INVALID}


class Failure(NamedTuple):
    outcome: Outcome
    message: str


class Answers:
    """What came back in one round, variant by variant in the order asked.

    feed() takes bytes as they arrive and returns None, or the Failure of a stream that broke the rules: then
    nothing after it can be trusted. columns: {name: (k, *shape)}, rows of those who failed stay zero.
    """

    def __init__(
        self, nonce: bytes, variants: NDArray[np.int64], schema: Sequence[Array], k: int, off: frozenset[str]
    ) -> None:
        self._nonce, self._order, self._schema, self._off = nonce, variants, schema, off
        fields = [(f"@{a.name}", f"<{a.dtype}" if a.dtype[1:] != "1" else a.dtype, a.shape) for a in schema]
        self._frame = np.dtype([("nonce", "V8"), ("variant", "<u4"), ("kind", "u1"), ("length", "<u4"), *fields])
        self._payload = self._frame.itemsize - HEADER.size
        self._buffer = bytearray()
        self.done = 0  # variants answered, in order
        self.failures: dict[int, Failure] = {}
        self.columns: Outputs = {a.name: np.zeros((k, *a.shape), dtype=a.dtype) for a in schema}

    @property
    def complete(self) -> bool:
        return self.done == len(self._order)

    @property
    def pending(self) -> NDArray[np.int64]:
        return self._order[self.done :]

    def feed(self, data: bytes) -> Failure | None:
        self._buffer += data
        while not self.complete and len(self._buffer) >= HEADER.size:
            if not self._batch():
                broken = self._one()
                if broken is not None:
                    return broken if broken.message != "incomplete" else None
        if self.complete and self._buffer:
            return Failure(Outcome.VIOLATION, f"{len(self._buffer)} bytes more than the answers asked for")
        return None

    def _batch(self) -> bool:
        """Takes the longest run of good frames; False if the first one is not a complete good frame."""
        m = min(len(self._buffer) // self._frame.itemsize, len(self._order) - self.done)
        if m == 0:
            return False
        frames = np.frombuffer(bytes(self._buffer[: m * self._frame.itemsize]), self._frame)
        expected = self._order[self.done : self.done + m]
        good = (frames["kind"] == OK) & (frames["length"] == self._payload)
        if "nonce" not in self._off:
            good &= (frames["variant"] == expected) & (frames["nonce"] == np.void(self._nonce))
        m = m if good.all() else int(np.argmin(good))
        if m == 0:
            return False
        for a in self._schema:
            self.columns[a.name][expected[:m]] = frames[f"@{a.name}"][:m]
        self._take(m * self._frame.itemsize, m)
        return True

    def _one(self) -> Failure | None:
        """Takes one frame that is no good answer, or says why the stream is broken, or that more bytes are needed."""
        nonce, variant, kind, length = HEADER.unpack_from(self._buffer)
        if "nonce" not in self._off and (nonce != self._nonce or variant != self._order[self.done]):
            return Failure(Outcome.VIOLATION, "a frame that was not asked for: wrong nonce, variant or order")
        if length > max(self._payload if kind == OK else TEXT, 0) or (kind == OK and length != self._payload):
            wrong = Outcome.OUTPUT if length > self._payload else Outcome.VIOLATION
            return Failure(wrong, f"an answer of {length} bytes, expected {self._payload}")
        if kind not in (OK, *_KINDS):
            return Failure(Outcome.VIOLATION, f"a frame of unknown kind {kind}")
        if len(self._buffer) < HEADER.size + length:
            return Failure(Outcome.OK, "incomplete")
        text = bytes(self._buffer[HEADER.size : HEADER.size + length]).decode("utf-8", "replace")
        self.failures[int(self._order[self.done])] = Failure(_KINDS[kind], text)
        self._take(HEADER.size + length, 1)
        return None

    def _take(self, size: int, variants: int) -> None:
        del self._buffer[:size]
        self.done += variants

    def check_values(self, alive: NDArray[np.bool_]) -> None:
        """Marks answers that are not finite or out of range; the child's word is not taken for it."""
        if "schema" in self._off:
            return
        for a in self._schema:
            values = self.columns[a.name]
            flat = values.reshape(len(values), -1)
            bad = {"a number that is not finite": ~np.isfinite(flat).all(axis=1)}
            if a.low is not None:
                bad[f"a number below {a.low:g}"] = (flat < a.low).any(axis=1)
            if a.high is not None:
                bad[f"a number above {a.high:g}"] = (flat > a.high).any(axis=1)
            for what, rows in bad.items():
                for v in np.flatnonzero(rows & alive).tolist():
                    self.failures.setdefault(v, Failure(Outcome.INVALID, f"{a.name} holds {what}"))


def hello(data: bytes, nonce: bytes) -> bytes | Failure | None:
    """The first frame of a child: the payload of its greeting, why it did not load, or None while incomplete."""
    if len(data) < HEADER.size:
        return None
    got, _, kind, length = HEADER.unpack_from(data)
    if got != nonce or kind not in (HELLO, *_KINDS) or length > 1 << 16:
        return Failure(Outcome.VIOLATION, "a frame that was not asked for before the candidate was loaded")
    if len(data) < HEADER.size + length:
        return None
    if len(data) > HEADER.size + length:
        return Failure(Outcome.VIOLATION, "more than one frame before the first question")
    payload = data[HEADER.size :]
    return payload if kind == HELLO else Failure(_KINDS[kind], payload.decode("utf-8", "replace"))
