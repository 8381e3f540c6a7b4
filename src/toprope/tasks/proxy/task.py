"""The task object: the generator, the conversation, the score and the candidates it ships, put together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Baseline, Decoy, Dialogue, Outputs, Progress
from toprope.space import Space
from toprope.tasks.proxy import private, public
from toprope.tasks.proxy.space import SPACE
from toprope.tasks.spec import load_spec, load_tree, with_tuned
from toprope.types import Draw, Floats, Json, Split, Tree

HERE = Path(__file__).parent

# name -> (parameters of the starter, source, dimensions it may tune)
OF_STARTER: dict[str, tuple[dict[str, Json], str, tuple[str, ...]]] = {
    "bradley-terry": (
        {},
        "Bradley & Terry 1952; the reward model of Christiano et al. 2017 (arXiv:1706.03741)",
        ("l2", "clip"),
    ),
    "labeller-weights": (
        {"labellers": "weigh"},
        "agreement weighting after Dawid & Skene 1979",
        ("l2", "clip", "labellers"),
    ),
    "ensemble": (
        {"members": 6, "pessimism": 1.0},
        "uncertainty-weighted ensemble, Coste et al. 2024 (arXiv:2310.02743)",
        ("l2", "clip", "members", "pessimism"),
    ),
    "audit-residual": (
        {"audit": 0.3},
        "preferences corrected by audited gold; natural default",
        ("l2", "clip", "audit", "audit_l2", "audit_bends"),
    ),
}
OF_FILES = {
    "constant": "null: floor by construction",
    "tame": "shortcut: ignores all data",
    "audit_only": "ridge on the audits; natural default",
}


class Coins(NamedTuple):
    """left, right: (n,) pool rows in pairs. larger: (n,) bool, whether the decoy puts the left one above."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    larger: NDArray[np.bool_]


class RewardModel:
    """`proxy/reward-model-v1`: fit a reward model that stays right when it is optimised against."""

    space: Space | None = SPACE

    def __init__(self) -> None:
        self.spec = load_spec(HERE / "task.toml")

    def prepare(self, split: Split, progress: Progress) -> None:
        """Nothing to build: a draw takes milliseconds from its seed."""
        progress("nothing to prepare", 1.0)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        return private.generate(split, index, seed)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        return public.dialogue(draw.private.pool, entries)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) mean gold, in standard deviations over the pool, of what the optimiser selects."""
        return private.score(outputs["rewards"], draw.private.gold)

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy:
        """Gold of the pool that was never anyone's: in random pairs of normal numbers, the larger one by a coin."""
        size = len(draw.private.gold)
        left, right = rng.permutation(size).reshape(2, -1)
        values = np.sort(rng.standard_normal((2, len(left))), axis=0)
        coins = Coins(left, right, rng.integers(0, 2, len(left)) == 1)
        gold = np.empty(size)
        gold[left] = np.where(coins.larger, values[1], values[0])
        gold[right] = np.where(coins.larger, values[0], values[1])
        return Decoy({"pool_gold": gold}, coins)

    def agreement(self, outputs: Outputs, draw: Draw, coins: Coins) -> tuple[NDArray[np.int64], int]:
        """Order of the rewards within the decoy's pairs; a tie agrees with nothing."""
        rewards = outputs["rewards"]
        gap = rewards[:, coins.left] - rewards[:, coins.right]
        return np.sum(np.where(coins.larger, gap > 0, gap < 0), axis=1), len(coins.left)

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """Gold dealt out anew over the pool: whatever is selected is worth its mean, 0."""
        gold = rng.permutation(draw.private.gold)
        return msgspec.structs.replace(draw, private=msgspec.structs.replace(draw.private, gold=gold))

    def starter(self) -> Tree:
        return self._starter

    def baselines(self) -> Mapping[str, Baseline]:
        found = {
            name: Baseline(self._starter, params, source, own=own) for name, (params, source, own) in OF_STARTER.items()
        }
        found |= {n: Baseline(load_tree(HERE / "baselines" / n), {}, source) for n, source in OF_FILES.items()}
        return with_tuned(HERE, self.spec.id, found)

    @cached_property
    def _starter(self) -> Tree:
        return load_tree(HERE / "starter")


def make(task_id: str) -> RewardModel:
    """The task of this id. Raises UsageError for an id this family does not have."""
    task = RewardModel()
    if task_id != task.spec.id:
        raise UsageError(f"task {task_id!r} is not in the proxy family; it has {task.spec.id}")
    return task
