"""Draws by name: regenerated from a split's secret when first needed; the public part is kept in sealed memory."""

from __future__ import annotations

from typing import Any, NamedTuple

from toprope.protocols import Task
from toprope.referee.honeypots import Honeypots
from toprope.sandbox.memory import PublicMemory
from toprope.seeding import derive
from toprope.tasks.guarded import drawn
from toprope.types import Draw, Split


class Held(NamedTuple):
    draw: Draw
    public: PublicMemory
    coins: Any  # of the decoy gold planted beside the public part; None without a decoy
    rng_seed: int  # of the candidate's rng on this draw: the same for every candidate and on every machine


def practice(task: Task, secret: bytes) -> list[Draw]:
    """All draws of dev, as a scorer makes them. secret: of dev, which is public."""
    name = task.spec.id
    return [drawn(task, "dev", i, derive(secret, name, "dev", 0, i)) for i in range(task.spec.splits.rungs[-1])]


class DrawStore:
    """Keeps the practice draws of every experiment, and of each split the draws of the slice in use. (Slices of dev
    above 0 are for finals, `run/finals.py`.)"""

    def __init__(self, task: Task, secrets: dict[Split, bytes], honeypots: Honeypots | None = None) -> None:
        self._task, self._secrets, self._traps = task, secrets, honeypots
        self._held: dict[tuple[Split, bool], tuple[int, dict[int, Held]]] = {}

    def knows(self, split: Split) -> bool:
        return split in self._secrets

    def get(self, split: Split, slice_: int, index: int) -> Held:
        place = split, slice_ > 0
        number, draws = self._held.get(place, (slice_, {}))
        if number != slice_:
            self._drop(draws)
            draws = {}
        self._held[place] = (slice_, draws)
        if index not in draws:
            draws[index] = self._make(split, slice_, index)
        return draws[index]

    def _make(self, split: Split, slice_: int, index: int) -> Held:
        name = (self._task.spec.id, split, slice_, index)
        secret = self._secrets[split]
        draw = drawn(self._task, split, index, derive(secret, *name))
        decoy = self._task.decoy(draw, self._traps.rng(*name)) if self._traps is not None else None
        arrays, coins = (decoy.arrays, decoy.coins) if decoy is not None else ({}, None)
        return Held(draw, PublicMemory.of({**arrays, **draw.public}), coins, derive(secret, *name, "rng"))

    def close(self) -> None:
        for _, draws in self._held.values():
            self._drop(draws)
        self._held.clear()

    @staticmethod
    def _drop(draws: dict[int, Held]) -> None:
        for held in draws.values():
            held.public.close()
