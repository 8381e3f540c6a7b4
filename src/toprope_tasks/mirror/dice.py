"""Random choices that are the same on every version of Python: everything comes from `random.random()`.

Python promises that one stream only (docs, "Notes on Reproducibility"); `choice` and `shuffle` may change.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A generator of its own for every name."""

    def __init__(self, *name: str | int | bytes) -> None:
        text = b"\x1f".join(x if isinstance(x, bytes) else str(x).encode() for x in name)
        self.random = random.Random(int.from_bytes(hashlib.sha256(text).digest(), "big")).random

    def below(self, n: int) -> int:
        return int(self.random() * n)

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def chance(self, p: float) -> bool:
        return self.random() < p

    def sample(self, options: Sequence[T], n: int) -> list[T]:
        """n of them, in random order (Fisher and Yates)."""
        rest = list(options)
        for i in range(n):
            j = self.between(i, len(rest) - 1)
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:n]
