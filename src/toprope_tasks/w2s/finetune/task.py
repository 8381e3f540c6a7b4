"""`w2s/finetune-v1` as the engine sees it: the cells and features of the probe tier, another student."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from toprope.protocols import Baseline, Dialogue, Outputs, Progress
from toprope.types import Draw, Floats, Split
from toprope_tasks.w2s import corpus, draws, lm
from toprope_tasks.w2s.finetune.student import Texts, probabilities, torch_or_error
from toprope_tasks.w2s.method_task import MethodTask, draw_rng, targets_only
from toprope_tasks.w2s.task import VISIBLE, WeakToStrong


class TuningGold(draws.Gold, frozen=True, kw_only=True):
    """What only the scorer holds of a draw, with the texts that the student reads."""

    texts: Texts


def make(task_id: str) -> FineTuning:
    """The task `w2s/finetune-v1`."""
    return FineTuning(task_id)


class FineTuning(WeakToStrong):
    """The standard tier's draws; the student is the strong model itself, fine-tuned on a method's targets."""

    def prepare(self, split: Split, progress: Progress) -> None:
        """As the probe tier. Raises UsageError without PyTorch."""
        torch_or_error()
        super().prepare(split, progress)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """A draw of the probe tier with the texts of its rows, and with a ceiling of its own: fine-tuned on gold."""
        draw = super().generate(split, index, seed)
        gold: draws.Gold = draw.private
        lineage = VISIBLE[index % len(VISIBLE)] if split == "dev" else self.hidden_path
        bank = self._samplers[lineage].bank
        pool, test = (corpus.prompts(np.asarray(bank.ops[r]), np.asarray(bank.digits[r])) for r in gold.rows)
        order = int(draw_rng(self.spec.id, split, index, seed + 1).integers(2**31))
        texts = Texts(pool, test, _strong(lineage), order)
        labels = gold.pool_labels.astype(np.float32)
        ceiling = np.mean((probabilities(texts, labels, np.ones(len(labels))) > 0.5) == gold.test_labels)
        private = TuningGold(**msgspec.structs.asdict(gold), texts=texts)
        return msgspec.structs.replace(draw, private=private, ceiling=float(ceiling))

    def baselines(self) -> Mapping[str, Baseline]:
        """Published methods at their defaults; those tuned for the probe belong to the probe."""
        return MethodTask.baselines(self)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """`targets` only: a candidate's own student is not a language model."""
        return targets_only(draw, entries)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) accuracy of the fine-tuned model on the test rows. Variants with equal targets are trained once."""
        gold: TuningGold = draw.private
        found: dict[bytes, float] = {}
        values = []
        for targets, weights in zip(outputs["soft_targets"], outputs["weights"], strict=True):
            key = targets.tobytes() + weights.tobytes()
            if key not in found:
                p = probabilities(gold.texts, targets, weights)
                found[key] = float(np.mean((p > 0.5) == gold.test_labels))
            values.append(found[key])
        return np.asarray(values, dtype=np.float64)


@cache
def _strong(lineage: Path) -> lm.Weights:
    return lm.load(lineage)[0]
