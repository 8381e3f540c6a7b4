"""A task in a folder: task.toml, starter/, baselines/NAME/ and one class with the task's own code.

A subclass defines `generate`, `dialogue`, `score` and `null` (see `protocols.Task`); the rest is here. It may be a
shipped task or a user's own: the folder is where the file of the class lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Baseline, Decoy, Outputs, Progress, Secret
from toprope.space import Space
from toprope.tasks.spec import load_spec, load_tree, with_tuned
from toprope.types import Draw, Json, Split, Tree


class Coins(NamedTuple):
    """The coins of a decoy. left, right: (n,) positions that form n pairs. larger: (n,) bool, whether the decoy puts
    the left one above the right one."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    larger: NDArray[np.bool_]


class Pairs(NamedTuple):
    """Decoy gold for answers that rank items: `size` numbers under the name `planted`; in random pairs a fair coin
    decides which one is larger. output: name of the candidate's answer (k, size) for the same items; a tie counts as
    disagreement. chances: the planted numbers lie in [0, 1], as the answers must."""

    planted: str
    output: str
    size: int
    chances: bool = False

    def decoy(self, rng: np.random.Generator) -> Decoy:
        left, right = rng.permutation(self.size - self.size % 2).reshape(2, -1)
        shape = (2, len(left))
        values = np.sort(rng.random(shape) if self.chances else rng.standard_normal(shape), axis=0)
        coins = Coins(left, right, rng.integers(0, 2, len(left)) == 1)
        planted = np.zeros(self.size)
        planted[left] = np.where(coins.larger, values[1], values[0])
        planted[right] = np.where(coins.larger, values[0], values[1])
        return Decoy({self.planted: planted}, coins)

    def agreement(self, outputs: Outputs, coins: Coins) -> tuple[NDArray[np.int64], int]:
        left, right = outputs[self.output][:, coins.left], outputs[self.output][:, coins.right]
        return np.sum(np.where(coins.larger, left > right, left < right), axis=1), len(coins.left)


class Point(NamedTuple):
    """A baseline that is the starter with parameters. source: where the method comes from. own: dimensions of the space
    that belong to the method and may be tuned."""

    params: dict[str, Json]
    source: str
    own: tuple[str, ...] = ()


class FolderTask:
    """The common part of tasks. Subclasses may set the class attributes.

    space: of parameters; None: no space. points: name -> baseline that is a point of the space. sources: name -> source
    of a baseline in the folder baselines/NAME. honeypot: decoy gold; None: no decoy.
    """

    space: Space | None = None
    points: ClassVar[Mapping[str, Point]] = {}
    sources: ClassVar[Mapping[str, str]] = {}
    honeypot: ClassVar[Pairs | None] = None

    def __init__(self, task_id: str, card: Path | None = None) -> None:
        """card: its task.toml, if several tasks share a class; None: the one in the folder. Raises UsageError if it is
        malformed or has another id."""
        self._folder = Path(inspect.getfile(type(self))).parent
        self.spec = load_spec(card or self._folder / "task.toml")
        if task_id != self.spec.id:
            raise UsageError(f"task {task_id!r} is not in {self._folder.name}; it has {self.spec.id}")

    @property
    def secret(self) -> Secret | None:
        """None: the task keeps nothing secret besides the seeds of its draws."""
        return None

    def prepare(self, split: Split, progress: Progress) -> None:
        """Does nothing: there is nothing to build."""
        progress("nothing to prepare", 1.0)

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy | None:
        return self.honeypot.decoy(rng) if self.honeypot is not None else None

    def agreement(self, outputs: Outputs, draw: Draw, coins: Any) -> tuple[NDArray[np.int64], int]:
        assert self.honeypot is not None
        return self.honeypot.agreement(outputs, coins)

    def starter(self) -> Tree:
        return self._starter

    def baselines(self) -> Mapping[str, Baseline]:
        """The baselines of `points`, then those of `sources`, each followed by its tuned point if tuned.json has one.
        Raises UsageError for a source without a folder."""
        found = {name: Baseline(self._starter, p.params, p.source, own=p.own) for name, p in self.points.items()}
        for name, source in self.sources.items():
            folder = self._folder / "baselines" / name
            if not folder.is_dir():
                raise UsageError(f"task {self.spec.id}: `sources` names {name}, which has no folder baselines/{name}")
            found[name] = Baseline(load_tree(folder), {}, source)
        return with_tuned(self._folder, self.spec.id, found)

    @cached_property
    def _starter(self) -> Tree:
        return load_tree(self._folder / "starter")
