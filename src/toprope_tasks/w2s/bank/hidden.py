"""The hidden bank of a task: which one, and what the gate and the sealed test may draw from it.

Its texts and its concepts are halved. The gate and the measurements draw from one half, the sealed test from the other:
no text and no concept of the test was ever asked about during a climb.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Secret
from toprope.types import Draw, Split
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.bank.draws import Sampler, admitted, same_origin

SHIPPED = Path(__file__).parents[1] / "banks"
DEMO = SHIPPED / "e5-packages.npz"
BANK = "TOPROPE_W2S_BANK"  # names a bank for the hidden splits
PRIVATE = "w2s-bank.npz"  # in a vault
FEWEST = 4  # concepts that a half must have


class Half(NamedTuple):
    """What a split may draw: numbers of concepts, a sampler over its texts, and how many texts these are."""

    concepts: list[int]
    sampler: Sampler
    texts: int

    def draw(self, rng: np.random.Generator) -> Draw:
        """A draw of a random concept."""
        return self.sampler.draw(self.concepts[rng.integers(len(self.concepts))], rng)


class HiddenBank:
    """$TOPROPE_W2S_BANK, or the vault's own bank, else the public demo's."""

    def __init__(self, path: Path | None = None) -> None:
        """path: a bank in place of all of these."""
        named = path or os.environ.get(BANK)
        self._fixed = named is not None
        self.path = Path(named) if named else DEMO
        self._halves: dict[bool, Half] | None = None

    @property
    def secret(self) -> Secret:
        """`public demo`, or `private` and the first 12 hex digits of the bank's digest. Raises UsageError if a file of
        the bank is missing."""
        remedy = f"toprope extract ... -o VAULT/{PRIVATE}"
        if self.path.parent == SHIPPED:
            return Secret("hidden bank", "public demo", True, remedy)
        name = f"private {file.digest(self.path)[:12]}"
        return Secret("hidden bank", name, False, remedy, items=self.half("val").texts)

    def open(self, vault: Path) -> None:
        """Take the vault's bank, if it has one and no other was named."""
        if not self._fixed and (vault / PRIVATE).is_file():
            self.path, self._halves = vault / PRIVATE, None

    def half(self, split: Split) -> Half:
        """What a hidden split may draw. Raises UsageError for a damaged bank, and for one that is too small."""
        if self._halves is None:
            self._halves = halves(self.path)
        return self._halves[split == "test"]


def no_recipe(vault: Path) -> UsageError:
    """Why `toprope vault make` cannot make a bank."""
    return UsageError(
        "a hidden bank is made from a model and texts of yours: toprope extract --strong MODEL --weak MODEL "
        f"--data FILE -o {vault / PRIVATE}"
    )


def halves(path: Path) -> dict[bool, Half]:
    """False: for gate and measurements; True: for the sealed test. Origins of texts, and concepts, are divided by a
    hash that depends on the bank. Raises UsageError with the figures if a half has fewer than FEWEST concepts with
    enough texts."""
    bank = file.read(path)
    labels = file.read_labels(path, bank)
    key = file.digest(path)
    origin = same_origin(bank)
    tested: NDArray[np.bool_] = np.array([_hash(key, f"text {i}")[0] & 1 for i in range(origin.max() + 1)])[origin] == 1
    samplers = {test: Sampler(bank, labels, tested == test) for test in (False, True)}
    both = set(usable(bank, samplers[False])) & set(usable(bank, samplers[True]))
    order = sorted(both, key=lambda c: _hash(key, bank.manifest.concepts[c].name))
    if len(order) < 2 * FEWEST:
        passed = sum(map(admitted, bank.manifest.concepts))
        raise UsageError(
            f"hidden bank {str(path)!r}: {passed} of {len(labels)} concepts are admitted, {len(order)} of these have "
            f"enough of the {len(origin)} texts for two halves; expected {2 * FEWEST}: extract more texts or concepts"
        )
    return {test: Half(order[test::2], s, int(np.sum(tested == test))) for test, s in samplers.items()}


def usable(bank: file.Bank, sampler: Sampler) -> list[int]:
    """Numbers of the concepts that are admitted and have enough texts."""
    concepts = bank.manifest.concepts
    return [c for c in range(len(concepts)) if admitted(concepts[c]) and sampler.prior(c) is not None]


def _hash(key: str, what: str) -> bytes:
    return hashlib.sha256(f"{key} {what}".encode()).digest()
