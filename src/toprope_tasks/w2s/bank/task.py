"""`w2s/bank-v1` as the engine sees it: which bank, which concepts and which texts a split draws from.

dev draws come from the visible banks. The hidden bank has another model, other texts and another kind of concept. Its
texts and its concepts are halved: the gate and the measurements draw from one half, the sealed test from the other.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Progress, Secret
from toprope.types import Draw, Split
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.bank.draws import Sampler, admitted, same_origin
from toprope_tasks.w2s.method_task import MethodTask, draw_rng

SHIPPED = Path(__file__).parents[1] / "banks"
VISIBLE = ("smollm2-wordnet", "minilm-speeches")
DEMO = "e5-debian"
BANK = "TOPROPE_W2S_BANK"  # names a bank for the hidden splits
PRIVATE = "w2s-bank.npz"  # in a vault
FEWEST = 4  # concepts that a half of a hidden bank must have


class Half(NamedTuple):
    """What a split may draw: numbers of concepts, and a sampler over its texts."""

    concepts: list[int]
    sampler: Sampler


def make(task_id: str) -> BankTask:
    """The task `w2s/bank-v1`."""
    return BankTask(task_id)


class BankTask(MethodTask):
    """Hidden splits come from $TOPROPE_W2S_BANK, or the vault's own bank, else from the public demo's."""

    def __init__(self, task_id: str, visible: list[Path] | None = None, hidden: Path | None = None) -> None:
        """visible, hidden: banks in place of the shipped ones."""
        super().__init__(task_id, Path(__file__).with_name("task.toml"))
        self._visible = visible or [SHIPPED / f"{name}.npz" for name in VISIBLE]
        named = hidden or os.environ.get(BANK)
        self._fixed = named is not None
        self._hidden = Path(named) if named else SHIPPED / f"{DEMO}.npz"
        self._halves: dict[bool, Half] | None = None

    @property
    def secret(self) -> Secret:
        """`public demo`, or `private` and the first 12 hex digits of the bank's digest."""
        public = self._hidden.parent == SHIPPED
        name = "public demo" if public else f"private {file.digest(self._hidden)[:12]}"
        return Secret("hidden bank", name, public, f"toprope extract ... -o VAULT/{PRIVATE}")

    def open_secret(self, vault: Path) -> None:
        """The vault's bank, unless another was named."""
        if not self._fixed and (vault / PRIVATE).is_file():
            self._hidden, self._halves = vault / PRIVATE, None

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Always raises UsageError: only the user has a model and texts."""
        raise UsageError(
            "a hidden bank is made from a model and texts of yours: toprope extract --strong MODEL --weak MODEL "
            f"--data FILE -o {vault / PRIVATE}"
        )

    def prepare(self, split: Split, progress: Progress) -> None:
        """Reads the bank of the split (a second or two)."""
        progress("reading the bank", 0.0)
        _ = self._dev if split == "dev" else self._half(split)
        progress("reading the bank", 1.0)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """dev: the visible banks in turn and their concepts in a fixed order; else a random concept of the split's half
        of the hidden bank."""
        rng = draw_rng(self.spec.id, split, index, seed)
        if split == "dev":
            half = self._dev[index % len(self._dev)]
            return half.sampler.draw(half.concepts[index // len(self._dev) % len(half.concepts)], rng)
        half = self._half(split)
        return half.sampler.draw(half.concepts[rng.integers(len(half.concepts))], rng)

    @cached_property
    def _dev(self) -> list[Half]:
        found = []
        for path in self._visible:
            bank = file.read(path)
            sampler = Sampler(bank, file.read_labels(path, bank))
            found.append(Half(_usable(bank, sampler), sampler))
            if not found[-1].concepts:
                raise UsageError(f"bank {str(path)!r} has no admitted concept; see `toprope extract`")
        return found

    def _half(self, split: Split) -> Half:
        if self._halves is None:
            self._halves = halves(self._hidden)
        return self._halves[split == "test"]


def halves(path: Path) -> dict[bool, Half]:
    """The halves of a hidden bank: False: for gate and measurements, True: for the sealed test. Origins of texts, and
    concepts, are divided by a hash that depends on the bank. Raises UsageError with the figures if a half has fewer
    than FEWEST concepts with enough texts."""
    bank = file.read(path)
    labels = file.read_labels(path, bank)
    key = file.digest(path)
    origin = same_origin(bank)
    tested: NDArray[np.bool_] = np.array([_coin(key, f"text {i}") for i in range(origin.max() + 1)])[origin]
    found = {}
    order = sorted(
        range(len(labels)), key=lambda c: hashlib.sha256(f"{key} {bank.manifest.concepts[c].name}".encode()).digest()
    )
    for test in (False, True):
        sampler = Sampler(bank, labels, tested == test)
        usable = _usable(bank, sampler)
        mine = [c for i, c in enumerate(c for c in order if c in usable) if i % 2 == test]
        if len(mine) < FEWEST:
            passed = sum(map(admitted, bank.manifest.concepts))
            raise UsageError(
                f"hidden bank {str(path)!r}: {passed} of {len(labels)} concepts are admitted, and {len(mine)} of them "
                f"have enough of the {int(np.sum(tested == test))} texts of a half; expected {FEWEST}: extract more "
                "texts or concepts"
            )
        found[test] = Half(mine, sampler)
    return found


def _usable(bank: file.Bank, sampler: Sampler) -> list[int]:
    concepts = bank.manifest.concepts
    return [c for c in range(len(concepts)) if admitted(concepts[c]) and sampler.prior(c) is not None]


def _coin(key: str, what: str) -> bool:
    return bool(hashlib.sha256(f"{key} {what}".encode()).digest()[0] & 1)
