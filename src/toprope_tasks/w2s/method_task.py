"""What every weak-to-strong task shares: the conversation with a method, the score of what it answered, the decoy.

A candidate is a method, never predictions: `targets` gives the referee's student something to learn from, or `fit` and
`predict` bring a student along. Score = accuracy on test rows; the value of a method is PGR, the ratio of sums
sum(accuracy - weak) / sum(ceiling - weak). Test rows are never seen together: transduction is outside these tasks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Decoy, Dialogue, Outputs
from toprope.tasks.folder import FolderTask
from toprope.types import Array, Call, Draw, Floats, Round
from toprope_tasks.w2s import draws, space, student
from toprope_tasks.w2s.baselines import METHODS

CHUNK = 125  # test rows a candidate's own student sees at once
BATCH = 32  # probes fitted together: beyond this the columns leave the cache


class LabelCoins(NamedTuple):
    """where: (m,) pool rows whose decoy label is a coin. pool: (m,) and test: (t,) bool, the coins."""

    where: NDArray[np.int64]
    pool: NDArray[np.bool_]
    test: NDArray[np.bool_]


class MethodTask(FolderTask):
    """A task whose candidates are weak-to-strong methods, points of one grammar. Draws hold a `draws.Gold`."""

    space = space.grammar()
    points = METHODS

    def __init__(self, task_id: str, card: Path) -> None:
        """card: the task.toml. Starter and tuned points are those of the family."""
        super().__init__(task_id, card)
        self._folder = Path(__file__).parent

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """`targets` if the candidate has it, else `fit` and `predict`."""
        if "targets" in entries:
            return targets_dialogue(draw)
        if {"fit", "predict"} <= entries:
            return _own_student(draw)
        raise ValueError(
            f"defines {', '.join(sorted(entries)) or 'nothing'}; expected `targets`, or `fit` and `predict`"
        )

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) accuracy on the test rows, class 1 above one half."""
        gold: draws.Gold = draw.private
        p = outputs["p"] if "p" in outputs else _train(outputs, gold)
        return np.asarray(np.mean((p > 0.5) == gold.test_labels, axis=1), dtype=np.float64)

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy:
        """Labels of the pool that look like the teacher's, a third of them fair coins, and coins for the test rows."""
        taught = draw.public["pool_weak_probs"] > 0.5
        where = np.sort(rng.permutation(len(taught))[: len(taught) // 3])
        coins = LabelCoins(
            where, rng.integers(0, 2, len(where)) == 1, rng.integers(0, 2, len(draw.private.chunks)) == 1
        )
        taught[where] = coins.pool
        test = coins.test[draw.private.chunks]  # in the order in which the rows are shown
        return Decoy({"pool_labels": taught.astype(np.uint8), "test_labels": test.astype(np.uint8)}, coins)

    def agreement(self, outputs: Outputs, draw: Draw, coins: LabelCoins) -> tuple[NDArray[np.int64], int]:
        """Targets against the coins among the pool's labels, or own predictions against those of the test rows."""
        if "p" in outputs:
            said, fair = outputs["p"] > 0.5, coins.test
        else:
            said, fair = outputs["soft_targets"][:, coins.where] > 0.5, coins.pool
        return np.sum(said == fair, axis=1), len(fair)

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """Test labels from fair coins: every method has accuracy one half in the mean."""
        coins = rng.integers(0, 2, len(draw.private.test_labels)) == 1
        return msgspec.structs.replace(draw, private=msgspec.structs.replace(draw.private, test_labels=coins))


def targets_dialogue(draw: Draw) -> Dialogue:
    """One call of `targets`; margins and groups go along where the draw has them."""
    n = len(draw.public["pool_weak_probs"])
    returns = (Array("soft_targets", "f4", (n,), 0, 1), Array("weights", "f4", (n,), 0))
    optional = tuple(name for name in ("margins", "groups") if name in draw.public)
    outputs = yield Round((Call("targets", ("pool_features", "pool_weak_probs"), optional, returns),))
    return outputs


def targets_only(draw: Draw, entries: frozenset[str]) -> Dialogue:
    """The conversation of tasks whose student is a language model, which no candidate can bring along."""
    if "targets" not in entries:
        raise ValueError(f"defines {', '.join(sorted(entries)) or 'nothing'}; expected `targets`")
    return targets_dialogue(draw)


def _own_student(draw: Draw) -> Dialogue:
    """`fit` once, then `predict` on shuffled chunks of test rows, so that no call sees the test set whole."""
    gold: draws.Gold = draw.private
    yield Round((Call("fit", ("pool_features", "pool_weak_probs"), keep="state"),))
    parts = []
    for chunk in np.split(gold.chunks, range(CHUNK, len(gold.chunks), CHUNK)):
        returns = (Array("p", "f4", (len(chunk),), 0, 1),)
        answer = yield Round(
            (Call("predict", ("state", "rows"), returns=returns),), {"rows": gold.test_features[chunk]}
        )
        parts.append(answer["p"])
    p = np.empty((len(parts[0]), len(gold.chunks)), np.float32)
    p[:, gold.chunks] = np.concatenate(parts, axis=1)
    return {"p": p}


def _train(outputs: Outputs, gold: draws.Gold) -> Floats:
    """(k, m) test probabilities of the referee's student fitted to every variant's targets."""
    targets, weights = outputs["soft_targets"], outputs["weights"]
    parts = [
        student.fit(gold.basis, targets[i : i + BATCH], weights[i : i + BATCH], gold.l2).probabilities(
            gold.basis, gold.test_features
        )
        for i in range(0, len(targets), BATCH)
    ]
    return np.concatenate(parts)


def draw_rng(task: str, split: str, index: int, seed: int) -> np.random.Generator:
    """A generator of its own for every (task, split, index, seed), whatever the seeds of neighbours."""
    key = hashlib.sha256(f"{task}|{split}|{index}|{seed}".encode()).digest()
    return np.random.default_rng(np.frombuffer(key, dtype=np.uint32))
