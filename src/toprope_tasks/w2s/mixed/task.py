"""`w2s/probe-v2` as the engine sees it: practice on synthetic draws, gate and test on activations of real models.

Practice draws cost milliseconds and there are as many as a climb wants. What they reward is worth something only as far
as real models agree, so a real bank decides: the gate promotes what is better there, and the sealed test has concepts
of that bank about which nothing was asked before. Hidden synthetic draws (`WeakToStrong`) serve studies.
"""

from __future__ import annotations

from pathlib import Path

from toprope.protocols import Progress
from toprope.types import Draw, Split
from toprope_tasks.w2s.bank.hidden import HiddenBank
from toprope_tasks.w2s.bank.real_task import RealTask
from toprope_tasks.w2s.states import LINES_PER_OP
from toprope_tasks.w2s.task import WeakToStrong


def make(task_id: str) -> MixedTask:
    """The task `w2s/probe-v2`."""
    return MixedTask(task_id)


class MixedTask(RealTask, WeakToStrong):
    """dev: clean and noisy states of the tiny language model. Hidden splits: a bank of real activations."""

    def __init__(self, task_id: str, bank: Path | None = None, lines_per_op: int = LINES_PER_OP) -> None:
        """bank: the hidden one, in place of $TOPROPE_W2S_BANK, the vault's and the public demo's."""
        WeakToStrong.__init__(self, task_id, lines_per_op=lines_per_op)
        self.bank = HiddenBank(bank)

    def prepare(self, split: Split, progress: Progress) -> None:
        """The states of the tiny models for dev, the bank for the rest."""
        if split == "dev":
            WeakToStrong.prepare(self, split, progress)
        else:
            progress("reading the bank", 0.0)
            self.bank.half(split)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """dev: as `WeakToStrong`; else from the bank."""
        return (
            WeakToStrong.generate(self, split, index, seed) if split == "dev" else self.hidden_draw(split, index, seed)
        )
