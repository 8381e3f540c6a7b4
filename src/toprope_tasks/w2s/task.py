"""The weak-to-strong tasks as the engine sees them: generate a draw, talk to a candidate, score what it answered.

A candidate is a method, never predictions: `targets` gives the referee's student something to learn from, or `fit` and
`predict` bring a student along. Score = accuracy on test rows; the value of a method is PGR, the ratio of sums
sum(accuracy - weak) / sum(ceiling - weak). Test rows are never seen together: transduction is outside this task.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Baseline, Decoy, Dialogue, Outputs, Progress, Secret
from toprope.tasks.folder import FolderTask
from toprope.tasks.spec import with_tuned
from toprope.types import Array, Call, Draw, Floats, Round, Split
from toprope_tasks.w2s import cells, draws, space, student
from toprope_tasks.w2s.baselines import METHODS
from toprope_tasks.w2s.pretrain import PRIVATE, for_vault
from toprope_tasks.w2s.states import LINES_PER_OP, open_bank

HERE = Path(__file__).parent
VISIBLE = tuple(HERE / "weights" / f"visible-{i}.npz" for i in (1, 2, 3))  # dev draws take turns over these lineages
DEMO = HERE / "weights" / "demo.npz"
CHUNK = 125  # test rows a candidate's own student sees at once
BATCH = 32  # probes fitted together: beyond this the columns leave the cache
WEIGHTS = "TOPROPE_W2S_WEIGHTS"  # names a weights file for the hidden splits
RUN_WEAK, RUN_GAP = 0.70, 0.10  # a random run concept is drawn again until its draw clears these
STANDARD = "w2s/probe-v1"
TIERS = {  # id -> (which cells, the folder of its task.toml)
    STANDARD: ("standard", "probe"),
    "w2s/probe-hard-v1": ("hard", "hard"),
    "w2s/probe-runs-v1": ("runs", "random"),
}


def make(task_id: str) -> WeakToStrong:
    """The task of an id in `TIERS`."""
    return WeakToStrong(task_id)


class LabelCoins(NamedTuple):
    """where: (m,) pool rows whose decoy label is a coin. pool: (m,) and test: (t,) bool, the coins."""

    where: NDArray[np.int64]
    pool: NDArray[np.bool_]
    test: NDArray[np.bool_]


class WeakToStrong(FolderTask):
    """One tier. Hidden splits are made from private weights: $TOPROPE_W2S_WEIGHTS, or the vault's own, else from the
    public demo's."""

    space = space.grammar()
    points = METHODS

    def __init__(self, task_id: str, weights: Path | None = None, lines_per_op: int = LINES_PER_OP) -> None:
        """weights: .npz for the hidden splits, in place of all of these. lines_per_op: size of the bank; tests use a
        small one."""
        self.tier, folder = TIERS[task_id]
        super().__init__(task_id, HERE / folder / "task.toml")
        self._lines = lines_per_op
        named = weights or os.environ.get(WEIGHTS)
        self._fixed = named is not None
        self._hidden = _existing(Path(named or DEMO))
        self._samplers: dict[Path, draws.Sampler] = {}

    @property
    def hidden_path(self) -> Path:
        """The weights file behind the hidden splits; equal to `DEMO` unless private."""
        return self._hidden

    @property
    def secret(self) -> Secret:
        """`public demo`, or `private` and the first 12 hex digits of the file's sha256."""
        public = self._hidden == DEMO
        name = "public demo" if public else f"private {hashlib.sha256(self._hidden.read_bytes()).hexdigest()[:12]}"
        return Secret("hidden weights", name, public, f"toprope vault make {self.spec.id}")

    def open_secret(self, vault: Path) -> None:
        """The vault's weights, unless others were named."""
        if not self._fixed and (vault / PRIVATE).is_file():
            self._hidden = vault / PRIVATE

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Pretrains a pair of models (needs the extra [torch]; minutes)."""
        return Path(for_vault(vault, seed, progress)["path"])

    def prepare(self, split: Split, progress: Progress) -> None:
        """Build or map the bank of hidden states this split samples from (10 s the first time, then from the cache)."""
        lineages = VISIBLE if split == "dev" else (self._hidden,)
        for i, weights in enumerate(lineages):
            if weights not in self._samplers:
                share = partial(_share, progress, i, len(lineages))
                self._samplers[weights] = draws.Sampler(open_bank(weights, share, self._lines))

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """dev: the index-th visible cell, in a fixed order, visible lineages in turn; else a random hidden cell, hidden
        lineage."""
        self.prepare(split, lambda what, done: None)
        sampler = self._samplers[VISIBLE[index % len(VISIBLE)] if split == "dev" else self._hidden]
        rng = _rng(self.spec.id, split, index, seed)
        if self.tier == "runs":
            return _random_run(sampler, rng)
        cell = _cell(self.tier, split, index, rng)
        return sampler.draw(cell, rng)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """`targets` if the candidate has it, else `fit` and `predict`."""
        if "targets" in entries:
            return _targets(draw)
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

    def baselines(self) -> Mapping[str, Baseline]:
        """Published methods as points of the grammar, at defaults and as tuned on the standard tier."""
        found = super().baselines()
        return found if self.spec.id == STANDARD else with_tuned(HERE, STANDARD, dict(found))


def _share(progress: Progress, i: int, of: int, what: str, done: float) -> None:
    progress(what, (i + done) / of)


def _existing(weights: Path) -> Path:
    if not weights.is_file():
        raise UsageError(
            f"hidden weights {str(weights)!r} do not exist; expected an .npz made by `toprope vault make w2s/probe-v1`"
        )
    return weights


def _rng(task: str, split: str, index: int, seed: int) -> np.random.Generator:
    """A generator of its own for every (task, split, index, seed), whatever the seeds of neighbours."""
    key = hashlib.sha256(f"{task}|{split}|{index}|{seed}".encode()).digest()
    return np.random.default_rng(np.frombuffer(key, dtype=np.uint32))


def _cell(tier: str, split: Split, index: int, rng: np.random.Generator) -> cells.Cell:
    if split == "dev":
        visible = cells.admitted(tier, "visible")
        return visible[index % len(visible)]
    hidden = cells.admitted(tier, "hidden")
    return hidden[rng.integers(len(hidden))]


def _random_run(sampler: draws.Sampler, rng: np.random.Generator) -> Draw:
    """Draw random concepts until one is learnable by the weak model and leaves a gap; about two in three are."""
    while True:
        cell = cells.random_run(rng)
        if min(map(len, sampler.rows(cell))) < sum(draws.PRIOR) * (cell.labels + draws.POOL + draws.TEST):
            continue
        draw = sampler.draw(cell, rng)
        if draw.floor >= RUN_WEAK and draw.ceiling - draw.floor >= RUN_GAP:
            return draw


def _targets(draw: Draw) -> Dialogue:
    n = len(draw.public["pool_weak_probs"])
    returns = (Array("soft_targets", "f4", (n,), 0, 1), Array("weights", "f4", (n,), 0))
    optional = tuple(name for name in ("margins", "groups") if name in draw.public)
    outputs = yield Round((Call("targets", ("pool_features", "pool_weak_probs"), optional, returns),))
    return outputs


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
        student.fit(gold.basis, targets[i : i + BATCH], weights[i : i + BATCH]).probabilities(
            gold.basis, gold.test_features
        )
        for i in range(0, len(targets), BATCH)
    ]
    return np.concatenate(parts)
