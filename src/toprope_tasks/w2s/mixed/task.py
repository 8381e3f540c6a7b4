"""`w2s/probe-v2` as the engine sees it: practice on synthetic draws, gate and test on activations of real models.

Practice draws cost milliseconds and there are as many as a climb wants. What they reward is worth something only as far
as real models agree, so a real bank decides: the gate promotes what is better there, and the sealed test has texts and
concepts of that bank about which nothing was asked before. Hidden synthetic draws (`WeakToStrong`) serve studies.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from toprope.protocols import Progress, Secret
from toprope.tasks.spec import load_tree
from toprope.types import Draw, Split, Tree
from toprope_tasks.w2s import space
from toprope_tasks.w2s.bank.hidden import HiddenBank, no_recipe
from toprope_tasks.w2s.baselines import METHODS, SMOOTHING
from toprope_tasks.w2s.method_task import draw_rng
from toprope_tasks.w2s.states import LINES_PER_OP
from toprope_tasks.w2s.task import WeakToStrong

HERE = Path(__file__).parent


def make(task_id: str) -> MixedTask:
    """The task `w2s/probe-v2`."""
    return MixedTask(task_id)


class MixedTask(WeakToStrong):
    """dev: clean and noisy states of the tiny language model. Hidden splits: a bank of real activations. The starter
    has one block more than that of the other tasks."""

    space = space.smoothing_grammar()
    points = METHODS | SMOOTHING

    def __init__(self, task_id: str, bank: Path | None = None, lines_per_op: int = LINES_PER_OP) -> None:
        """bank: the hidden one, in place of $TOPROPE_W2S_BANK, the vault's and the public demo's."""
        super().__init__(task_id, lines_per_op=lines_per_op)
        self._bank = HiddenBank(bank)

    @property
    def secret(self) -> Secret:
        """The hidden bank's."""
        return self._bank.secret

    def open_secret(self, vault: Path) -> None:
        self._bank.open(vault)

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Always raises UsageError: only the user has a model and texts."""
        raise no_recipe(vault)

    def prepare(self, split: Split, progress: Progress) -> None:
        """The states of the tiny models for dev, the bank for the rest."""
        if split == "dev":
            super().prepare(split, progress)
        else:
            progress("reading the bank", 0.0)
            self._bank.half(split)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """dev: as `WeakToStrong`; else a random concept of the split's half of the bank."""
        if split == "dev":
            return super().generate(split, index, seed)
        return self._bank.half(split).draw(draw_rng(self.spec.id, split, index, seed))

    @cached_property
    def _starter(self) -> Tree:
        """The family's files, with a solution that smooths."""
        return Tree({**load_tree(self._folder / "starter").files, **load_tree(HERE / "starter").files})
