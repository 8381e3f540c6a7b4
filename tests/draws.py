"""Draws of a task for the tests of a module, made when one is first used: every worker imports every module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import overload

from toprope.protocols import Task
from toprope.types import Draw, Split


class Draws(Sequence[Draw]):
    """The first n draws of a split, with one seed."""

    def __init__(self, task: Task, split: Split, seed: int, n: int) -> None:
        self._made, self._n = cache(lambda i: task.generate(split, i, seed)), n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, at: int) -> Draw: ...

    @overload
    def __getitem__(self, at: slice) -> list[Draw]: ...

    def __getitem__(self, at: int | slice) -> Draw | list[Draw]:
        if isinstance(at, slice):
            return [self._made(i) for i in range(self._n)[at]]
        return self._made(range(self._n)[at])

    def __add__(self, other: Sequence[Draw]) -> list[Draw]:
        return [*self, *other]
