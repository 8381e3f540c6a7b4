"""The weak-to-strong tasks on the tiny language models that this project pretrained: which draws a split has."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from toprope.errors import UsageError
from toprope.protocols import Baseline, Progress, Secret
from toprope.tasks.spec import with_tuned
from toprope.types import Draw, Split
from toprope_tasks.w2s import cells, draws
from toprope_tasks.w2s.method_task import MethodTask, draw_rng
from toprope_tasks.w2s.pretrain import PRIVATE, for_vault
from toprope_tasks.w2s.states import LINES_PER_OP, open_bank

HERE = Path(__file__).parent
VISIBLE = tuple(HERE / "weights" / f"visible-{i}.npz" for i in (1, 2, 3))  # dev draws take turns over these lineages
DEMO = HERE / "weights" / "demo.npz"
WEIGHTS = "TOPROPE_W2S_WEIGHTS"  # names a weights file for the hidden splits
RUN_WEAK, RUN_GAP = 0.70, 0.10  # a random run concept is drawn again until its draw clears these
STANDARD = "w2s/probe-v1"
TIERS = {  # id -> (which cells, the folder of its task.toml)
    STANDARD: ("standard", "probe"),
    "w2s/probe-hard-v1": ("hard", "hard"),
    "w2s/probe-runs-v1": ("runs", "random"),
    "w2s/finetune-v1": ("standard", "finetune"),
    "w2s/probe-v2": ("mixed", "mixed"),
}


def make(task_id: str) -> WeakToStrong:
    """The task of an id in `TIERS`."""
    return WeakToStrong(task_id)


class WeakToStrong(MethodTask):
    """One tier. Hidden splits are made from private weights: $TOPROPE_W2S_WEIGHTS, or the vault's own, else from the
    public demo's."""

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
        lineage. Draws of the tier `mixed` say which question they ask, so that intervals resample questions first."""
        self.prepare(split, lambda what, done: None)
        sampler = self._samplers[VISIBLE[index % len(VISIBLE)] if split == "dev" else self._hidden]
        rng = draw_rng(self.spec.id, split, index, seed)
        if self.tier == "runs":
            return _random_run(sampler, rng)
        cell = _cell(self.tier, split, index, rng)
        if self.tier != "mixed":
            return sampler.draw(cell, rng)
        return sampler.draw(cell, rng, prior=draws.MIXED_PRIOR, group=cells.question(cell))

    def baselines(self) -> Mapping[str, Baseline]:
        """Published methods as points of the grammar, at defaults and as tuned on the task itself, or on the standard
        tier if nothing was tuned there."""
        found = super().baselines()
        return found if any(b.tuned for b in found.values()) else with_tuned(HERE, STANDARD, dict(found))


def _share(progress: Progress, i: int, of: int, what: str, done: float) -> None:
    progress(what, (i + done) / of)


def _existing(weights: Path) -> Path:
    if not weights.is_file():
        raise UsageError(
            f"hidden weights {str(weights)!r} do not exist; expected an .npz made by `toprope vault make w2s/probe-v1`"
        )
    return weights


def _cell(tier: str, split: Split, index: int, rng: np.random.Generator) -> cells.Cell:
    if split == "dev":
        visible = cells.admitted(tier, "visible")
        return visible[index % len(visible)]
    hidden = cells.admitted(tier, "hidden")
    if tier == "mixed":  # the level first, at random: in turn, draws of a slice would not have the same distribution
        levels = cells.LEVELS["hidden"]
        hidden = tuple(cells.at(levels[rng.integers(len(levels))], "hidden", hidden))
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
