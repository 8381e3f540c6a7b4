"""`w2s/lora-v1` as the engine sees it: draws of a bank, a student that reads the texts behind them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Baseline, Dialogue, Outputs, Progress, Secret
from toprope.types import Draw, Floats, Split
from toprope_tasks.w2s import draws
from toprope_tasks.w2s.bank.real_task import SmoothingTask
from toprope_tasks.w2s.lora import config
from toprope_tasks.w2s.lora.problem import WHERE, TextBank
from toprope_tasks.w2s.lora.student import Entered, Student
from toprope_tasks.w2s.method_task import draw_rng, targets_only


class LoraGold(draws.Gold, frozen=True, kw_only=True):
    """What only the scorer holds of a draw, with the texts that the student reads. seed: of each of its trainings, so
    that all candidates, and the ceiling, have the same start and order."""

    pool: Entered
    test: Entered
    seed: int


def make(task_id: str) -> LoraTask:
    """The task `w2s/lora-v1`."""
    return LoraTask(task_id)


class LoraTask(SmoothingTask):
    """The targets of a method train a language model with adapters; one experiment on one draw is one training."""

    def __init__(self, task_id: str, choice: config.Choice | None = None) -> None:
        """choice: a configuration in place of the user's own."""
        super().__init__(task_id, Path(__file__).with_name("task.toml"))
        self._fixed = choice is not None
        self.texts = TextBank(choice or config.chosen())

    @property
    def secret(self) -> Secret:
        """Which texts and which model."""
        return self.texts.secret

    def open_secret(self, vault: Path) -> None:
        """The vault's configuration, unless another was named."""
        if not self._fixed:
            self.texts.open(vault)

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Always raises UsageError: only the user has a model and texts."""
        raise UsageError(
            f"texts and model of {self.spec.id} are yours: name them in {WHERE} (docs/tasks/w2s-finetune.md)"
        )

    def prepare(self, split: Split, progress: Progress) -> None:
        """Reads bank and texts, and loads the model (some ten seconds). Raises UsageError for what is missing."""
        progress("reading texts", 0.0)
        self.texts.share(split)
        progress("loading the model", 0.5)
        _ = self._student
        progress("loading the model", 1.0)

    @cached_property
    def _student(self) -> Student:
        return Student(self.texts.choice.config)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """A concept of the split's share: on dev in turn, else at random. Its ceiling is a training on gold labels."""
        share = self.texts.share(split)
        rng = draw_rng(self.spec.id, split, index, seed)
        number = index % len(share.families) if split == "dev" else int(rng.integers(len(share.families)))
        family = share.families[number]
        draw = share.sampler.draw(int(rng.choice(family)), rng)
        pool, test = (self._student.entered(*self.texts.texts(rows)) for rows in draw.private.rows)
        gold = LoraGold(**msgspec.structs.asdict(draw.private), pool=pool, test=test, seed=int(rng.integers(2**31)))
        labels = gold.pool_labels.astype(np.float32)
        ceiling = self._accuracy(gold, labels, np.ones(len(labels), np.float32))
        return msgspec.structs.replace(draw, private=gold, ceiling=ceiling, group=number)

    def baselines(self) -> Mapping[str, Baseline]:
        """Published methods at their defaults; those tuned for a probe belong to the probe."""
        return {name: b for name, b in super().baselines().items() if not b.tuned}

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """`targets` only: the student is the referee's."""
        return targets_only(draw, entries)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) accuracy of the trained model on the test texts. Variants with equal targets are trained once. Raises
        UsageError when the hours of the configuration are used up."""
        found: dict[bytes, float] = {}
        values = []
        for targets, weights in zip(outputs["soft_targets"], outputs["weights"], strict=True):
            key = targets.tobytes() + weights.tobytes()
            if key not in found:
                found[key] = self._accuracy(draw.private, targets, weights)
            values.append(found[key])
        return np.asarray(values, dtype=np.float64)

    def _accuracy(self, gold: LoraGold, targets: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
        began = self.texts.choice.begin()
        p = self._student.probabilities(gold.pool, gold.test, targets, weights, gold.seed)
        self.texts.choice.end(began)
        return float(np.mean((p > 0.5) == gold.test_labels))
