"""`w2s/bank-v2` and `w2s/bank-v1` as the engine sees them: dev draws come from the visible banks, the others from the
hidden one, which has another model, other texts and another kind of concept.

The visible banks of version 2 are two models, each on the texts of both, so that what holds for one model or for one
kind of text alone is worth less; those of version 1 are one model on one kind of text each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from toprope.errors import UsageError
from toprope.protocols import Baseline, Progress
from toprope.tasks.spec import with_tuned
from toprope.types import Draw, Split
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.bank.draws import Sampler
from toprope_tasks.w2s.bank.hidden import SHIPPED, HiddenBank, usable
from toprope_tasks.w2s.bank.real_task import RealTask
from toprope_tasks.w2s.method_task import draw_rng

CARD = Path(__file__).with_name("task.toml")
PAIRED = ("smollm2-wordnet", "minilm-verses")


def make(task_id: str) -> BankTask:
    """The task `w2s/bank-v1`."""
    return BankTask(task_id, shipped(PAIRED))


def shipped(names: Sequence[str]) -> list[Path]:
    """Files of shipped banks."""
    return [SHIPPED / f"{name}.npz" for name in names]


class BankTask(RealTask):
    """Weak-to-strong on real activations."""

    def __init__(self, task_id: str, visible: list[Path], hidden: Path | None = None, card: Path = CARD) -> None:
        """visible: the banks of practice, in the order in which draws take them. hidden: in place of
        $TOPROPE_W2S_BANK, the vault's and the public demo's. card: the task.toml."""
        super().__init__(task_id, card)
        self._visible = visible
        self.bank = HiddenBank(hidden)

    def baselines(self) -> Mapping[str, Baseline]:
        """Published methods at their defaults, and tuned on practice draws of this task."""
        return with_tuned(CARD.parent, self.spec.id, dict(super().baselines()))

    def prepare(self, split: Split, progress: Progress) -> None:
        """Reads the banks of the split (a second or two)."""
        progress("reading the bank", 0.0)
        _ = self._dev if split == "dev" else self.bank.half(split)
        progress("reading the bank", 1.0)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """dev: the visible banks in turn and their concepts in a fixed order; else a random concept of the split's half
        of the hidden bank."""
        if split != "dev":
            return self.hidden_draw(split, index, seed)
        rng = draw_rng(self.spec.id, split, index, seed)
        concepts, sampler = self._dev[index % len(self._dev)]
        turn = index // len(self._dev) % len(concepts)
        group = turn * len(self._dev) + index % len(self._dev)
        return msgspec.structs.replace(sampler.draw(concepts[turn], rng), group=group)

    @cached_property
    def _dev(self) -> list[tuple[list[int], Sampler]]:
        """Of each visible bank its concepts, in an order that does not depend on it, and a sampler."""
        found = []
        for path in self._visible:
            bank = file.read(path)
            sampler = Sampler(bank, file.read_labels(path, bank))
            concepts = usable(bank, sampler)
            found.append(([concepts[i] for i in np.random.default_rng(0).permutation(len(concepts))], sampler))
            if not concepts:
                raise UsageError(f"bank {str(path)!r} has no admitted concept; see `toprope extract`")
        return found
