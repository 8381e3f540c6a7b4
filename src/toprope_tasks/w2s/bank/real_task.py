"""What the tasks on real activations share: the hidden bank, and a space in which methods may smooth."""

from __future__ import annotations

from pathlib import Path

from toprope.protocols import Progress, Secret
from toprope.types import Draw, Split
from toprope_tasks.w2s import space
from toprope_tasks.w2s.bank.hidden import HiddenBank, no_recipe
from toprope_tasks.w2s.baselines import METHODS, SMOOTHING
from toprope_tasks.w2s.method_task import MethodTask, draw_rng


class SmoothingTask(MethodTask):
    """The space has one slot more than that of the tiny models' tasks, smoothing."""

    space = space.smoothing_grammar()
    points = METHODS | SMOOTHING


class RealTask(SmoothingTask):
    """Hidden splits come from a bank. A subclass sets `bank`."""

    bank: HiddenBank

    @property
    def secret(self) -> Secret:
        """The hidden bank's."""
        return self.bank.secret

    def open_secret(self, vault: Path) -> None:
        self.bank.open(vault)

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Always raises UsageError: only the user has a model and texts."""
        raise no_recipe(vault)

    def hidden_draw(self, split: Split, index: int, seed: int) -> Draw:
        """A random concept of the split's half of the bank."""
        return self.bank.half(split).draw(draw_rng(self.spec.id, split, index, seed))
