"""The hidden bank of a task: which one, and what the gate and the sealed test may draw from it.

Its concepts are halved. The gate and the measurements draw from one half, the sealed test from the other: no concept of
the test was ever asked about during a climb, nor one that is nearly the same. Texts are shared, because a climb hears
one bit per attempt about them, and the vault limits these bits (`Secret.items`).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Secret
from toprope.types import Draw, Split
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.bank.draws import Sampler, admitted

SHIPPED = Path(__file__).parents[1] / "banks"
DEMO = SHIPPED / "e5-packages.npz"
BANK = "TOPROPE_W2S_BANK"  # names a bank for the hidden splits
PRIVATE = "w2s-bank.npz"  # in a vault
FEWEST = 4  # families of concepts that a half must have
AKIN = 0.8  # correlation of labels from which concepts are of one family


class Half(NamedTuple):
    """What a split may draw: families of concepts (numbers in the bank), and a sampler over its texts."""

    families: list[list[int]]
    sampler: Sampler

    def draw(self, rng: np.random.Generator) -> Draw:
        """A draw of a random concept of a random family, which is the draw's group."""
        number = int(rng.integers(len(self.families)))
        family = self.families[number]
        draw = self.sampler.draw(family[rng.integers(len(family))], rng)
        return msgspec.structs.replace(draw, group=number)


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
        return Secret("hidden bank", name, False, remedy, items=len(self.half("val").sampler.bank.origin))

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
    """False: for gate and measurements; True: for the sealed test.

    Families of concepts go to the halves by a hash that depends on the bank, the largest first and each to the half
    that has fewer. Raises UsageError with the figures if a half has fewer than FEWEST families.
    """
    bank = file.read(path)
    labels = file.read_labels(path, bank)
    key = file.digest(path)
    sampler = Sampler(bank, labels)
    some = usable(bank, sampler)
    families = sorted(akin(labels, some), key=lambda f: (-len(f), _hash(key, bank.manifest.concepts[f[0]].name)))
    mine: dict[bool, list[list[int]]] = {False: [], True: []}
    for family in families:
        mine[sum(map(len, mine[True])) < sum(map(len, mine[False]))].append(family)
    if min(map(len, mine.values())) < FEWEST:
        passed = sum(map(admitted, bank.manifest.concepts))
        raise UsageError(
            f"hidden bank {str(path)!r}: {passed} of {len(labels)} concepts are admitted; {len(some)} of these have "
            f"enough of the {len(bank.origin)} texts, in {len(families)} families of like concepts; expected "
            f"{2 * FEWEST} families: extract more texts or concepts"
        )
    return {test: Half(families, sampler) for test, families in mine.items()}


def akin(labels: file.Labels, some: list[int]) -> list[list[int]]:
    """Families of the concepts `some`: those whose labels correlate by AKIN or more, where both apply, directly or by
    way of others."""
    families: list[list[int]] = []
    for concept in some:
        near = [f for f in families if any(_correlation(labels[concept], labels[other]) >= AKIN for other in f)]
        families = [f for f in families if f not in near] + [sorted([concept, *(c for f in near for c in f)])]
    return families


def _correlation(a: NDArray[np.int8], b: NDArray[np.int8]) -> float:
    """Size of the correlation where both concepts apply; 0 where one of them does not vary there."""
    rows = (a >= 0) & (b >= 0)
    x, y = a[rows], b[rows]
    return abs(float(np.corrcoef(x, y)[0, 1])) if len(x) and x.std() and y.std() else 0.0


def usable(bank: file.Bank, sampler: Sampler) -> list[int]:
    """Numbers of the concepts that are admitted and have enough texts."""
    concepts = bank.manifest.concepts
    return [c for c in range(len(concepts)) if admitted(concepts[c]) and sampler.prior(c) is not None]


def _hash(key: str, what: str) -> bytes:
    return hashlib.sha256(f"{key} {what}".encode()).digest()
