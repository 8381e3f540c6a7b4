"""Makes a bank of two models and labelled texts: `toprope extract`.

A pass of a model is cut into parts of some hundred texts. Each part is written and renamed into place whole, into a
folder named by a hash of the model's files, the texts and what is read of them; so the same command, started again
after it was killed, does only what is missing. Batch size and device are not in that hash: they change no state.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Progress
from toprope_tasks.w2s.bank import draws, file, models
from toprope_tasks.w2s.bank.models import F4, Model, Place, Pooling
from toprope_tasks.w2s.bank.texts import Texts

ADMISSION = 12  # draws by which a concept is measured
PART = 256  # texts of a part: a few seconds of a small model on one core
STORED = "features of another program"  # the kind of a side that is an .npy


class Side(NamedTuple):
    """model: a folder, a .gguf, a name on the hub, or an .npy of (rows, d) features in the order of the texts. layers:
    numbers of blocks, () for the middle one. width: principal components that are kept; None: all columns."""

    model: str
    layers: tuple[int, ...] = ()
    width: int | None = None
    licence: str = "not stated"

    @property
    def stored(self) -> bool:
        return self.model.endswith(".npy")


class Options(NamedTuple):
    """max_tokens: of a text that a model reads. margins: also of the strong model's next token. small: int8. parts: a
    folder for parts, kept; None: one beside the bank, removed at the end. kinds: of concepts, `given` where none."""

    poolings: tuple[Pooling, ...] = ("mean",)
    max_tokens: int = 256
    batch: int = 32
    device: str = "auto"
    margins: bool = False
    small: bool = False
    parts: Path | None = None
    source: str = "not stated"
    licence: str = "not stated"
    command: str = ""
    kinds: Mapping[str, str] | None = None


def extract(out: Path, data: Texts, strong: Side, weak: Side, options: Options, progress: Progress) -> dict[str, Any]:
    """Write the bank `out` and its labels, and return what was written.

    Raises UsageError for a model, layer or width that does not fit, before any model runs where that can be known.
    """
    start = time.monotonic()
    if out.suffix != ".npz":
        raise UsageError(f"-o {str(out)!r}: expected a name that ends in .npz")
    if options.margins and strong.stored:
        raise UsageError(f"--margins: {strong.model!r} holds features alone; expected a causal language model")
    parts = options.parts or out.with_name(f"{out.name}.parts")
    plans = _plans(data, strong, weak, options)
    columns = [_stored(s, data) if s.stored else plans[s.model].run(parts, options, progress) for s in (strong, weak)]
    margins = columns[0].pop("margins", None)
    columns[1].pop("margins", None)  # of the same model
    notes, features = [], []
    for side, found, name in zip((strong, weak), columns, ("strong", "weak"), strict=True):
        wanted = found if side.stored else {p.name: found[p.name] for p in plans[side.model].places(side, options)}
        features.append({k: reduced(x, side.width, f"--{name} {side.model!r}, {k}") for k, x in wanted.items()})
        notes.append(plans[side.model].note(side, options) if not side.stored else _stored_note(side))
    concepts = [file.Concept(name, (options.kinds or {}).get(name, "given")) for name in data.concepts]
    manifest = file.Manifest(out.stem, notes[0], notes[1], options.source, options.licence, concepts, options.command)
    hashes = np.array([file.text_hash(t) for t in data.texts], np.uint64)
    bank = file.Bank(manifest, features[0], features[1], data.origin, hashes, margins, data.groups)
    concepts = draws.measured_all(bank, data.labels, ADMISSION, np.random.default_rng(0), progress)
    bank = bank._replace(manifest=msgspec.structs.replace(manifest, concepts=concepts))
    file.write(out, bank, data.labels, options.small)
    if options.parts is None:
        shutil.rmtree(parts, ignore_errors=True)
    return {
        "bank": str(out),
        "rows": len(data.texts),
        "layers": [f"{side}/{k}" for side, x in zip(("strong", "weak"), features, strict=True) for k in x],
        "concepts": len(concepts),
        "admitted": sum(map(draws.admitted, concepts)),
        "seconds": round(time.monotonic() - start, 1),
        "shortened": {plan.files.name: plan.long for plan in plans.values()},
    }


def reduced(x: F4, width: int | None, what: str) -> F4:
    """(N, d) features with mean 0 and variance 1 per column, then their first principal components.

    First standardised, as some columns of a language model are a hundred times the others. Raises UsageError if they
    are not finite, or fewer than `width`.
    """
    if not np.isfinite(x).all():
        raise UsageError(f"{what}: {np.sum(~np.isfinite(x).all(1))} of {len(x)} rows are not finite; expected numbers")
    if width is not None and width > min(x.shape):
        raise UsageError(f"{what}: width {width} is more than its {x.shape[1]} columns or {x.shape[0]} rows have")
    z = np.asarray(x, np.float64) - x.mean(0, dtype=np.float64)
    z /= np.maximum(z.std(0), 1e-12 + 1e-6 * np.abs(x).max(0))  # a constant column stays near 0
    if width is None:
        return np.asarray(z, np.float32)
    axes = np.linalg.eigh(z.T @ z)[1][:, ::-1][:, :width]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(width)])  # the sign of an axis is free: make it one
    return np.asarray(z @ axes, np.float32)


class _Plan:
    """One pass of a model over the texts, for one or both sides."""

    def __init__(self, files: models.Files, data: Texts, device: str) -> None:
        self.files, self._data = files, data
        self._model = Model(files, device)
        self._sides: list[Side] = []
        self._margins = False
        self._found: dict[str, F4] | None = None
        self.long = 0  # texts that are longer than the model may read

    def take(self, side: Side, margins: bool) -> None:
        """Serve a side too, which wants margins or not. Raises UsageError if the model does not have what it wants."""
        for layer in side.layers:
            if not 0 <= layer <= self._model.blocks:
                raise UsageError(
                    f"layer {layer} of model {self.files.name!r}; expected 0 (its embedding) to {self._model.blocks}"
                )
        if margins and not self._model.headed:
            raise UsageError(f"--margins: {self.files.name!r} has no logits; expected a causal language model")
        self._sides.append(side)
        self._margins |= margins

    def places(self, side: Side, options: Options) -> list[Place]:
        """Where the features of a side are read."""
        layers = side.layers or (self._model.blocks // 2,)
        return [Place(layer, pooling) for layer in layers for pooling in options.poolings]

    def note(self, side: Side, options: Options) -> file.ModelNote:
        about = {"mean": "mean over the text's tokens", "last": "last token (of an encoder: first)"}
        where = {0: "embedding"}
        layers = {
            p.name: f"{where.get(p.layer, f'after block {p.layer} of {self._model.blocks}')}, {about[p.pooling]}"
            for p in self.places(side, options)
        }
        return file.ModelNote(self.files.name, self._model.kind, side.licence, self.files.weights, layers)

    def run(self, parts: Path, options: Options, progress: Progress) -> dict[str, F4]:
        """Name of each place -> (N, d), and `margins`: from the parts that are there, and the model for the others."""
        if self._found is None:
            places = sorted({p for side in self._sides for p in self.places(side, options)})
            self._found = self._pass(parts, places, options, progress)
        return dict(self._found)

    def _pass(self, parts: Path, places: Sequence[Place], options: Options, progress: Progress) -> dict[str, F4]:
        texts, cut = self._data.texts, self._data.cut
        told = [
            self.files.digest,
            self._model.kind,
            cut,
            options.max_tokens,
            self._margins,
            [p.name for p in places],
            PART,
        ]
        folder = parts / hashlib.sha256(msgspec.json.encode([told, texts])).hexdigest()[:16]
        progress(f"{self.files.name}: {len(texts)} texts into tokens", 0.0)
        tokens, self.long = self._model.tokens(texts, options.max_tokens, cut)
        order = np.argsort([-len(t) for t in tokens], kind="stable")  # the longest first: a forecast is then no hope
        cuts = [order[i : i + PART] for i in range(0, len(order), PART)]
        clock = _Clock(self.files.name, sum(map(len, tokens)), progress)
        found: dict[str, F4] = {}
        for number, rows in enumerate(cuts):
            path = folder / f"{number:06d}.npz"
            part = _part(path, len(rows))
            size = sum(len(tokens[i]) for i in rows)
            if part is None:
                part = self._rows([tokens[i] for i in rows], places, options.batch)
                file.save(path, part, compressed=False)
                clock.done(size)
            else:
                clock.skip(size)
            for name, x in part.items():
                found.setdefault(name, np.empty((len(texts), *x.shape[1:]), np.float32))[rows] = x
        progress(f"{self.files.name}: {len(texts)} texts", 1.0)
        return found

    def _rows(self, tokens: list[list[int]], places: Sequence[Place], batch: int) -> dict[str, F4]:
        runs = [self._model.states(tokens[i : i + batch], places, self._margins) for i in range(0, len(tokens), batch)]
        return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


class _Clock:
    """Says how far a pass is and how long the rest will take, by tokens; parts found on disk take no time."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._made = self._at = 0
        self._start = time.monotonic()

    def skip(self, tokens: int) -> None:
        self._at += tokens

    def done(self, tokens: int) -> None:
        self._at, self._made = self._at + tokens, self._made + tokens
        left = (time.monotonic() - self._start) / self._made * (self._total - self._at)
        told = f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"
        if self._at < self._total:
            self._progress(f"{self._what}: {told}", self._at / self._total)


def _plans(data: Texts, strong: Side, weak: Side, options: Options) -> dict[str, _Plan]:
    """A pass for each model; one pass if both sides are the same."""
    if strong.model == weak.model and not strong.stored and not (strong.layers and weak.layers):
        raise UsageError("strong and weak are the same model; expected --strong-layers and --weak-layers")
    plans: dict[str, _Plan] = {}
    for side in (strong, weak):
        if not side.stored:
            if side.model not in plans:
                plans[side.model] = _Plan(models.find(side.model), data, options.device)
            plans[side.model].take(side, options.margins and side is strong)
        elif side.layers:
            raise UsageError(f"{side.model!r} holds features alone; expected no layers for it")
    return plans


def _stored(side: Side, data: Texts) -> dict[str, F4]:
    """The features of an .npy."""
    try:
        x = np.load(side.model, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise UsageError(f"features {side.model!r} cannot be read ({e}); expected an .npy of (rows, d)") from None
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.dtype.kind not in "fiu" or not x.shape[1]:
        got = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else "several arrays"
        raise UsageError(f"features {side.model!r} are {got}; expected numbers of shape (rows, d)")
    if len(x) != len(data.texts):
        raise UsageError(f"features {side.model!r} have {len(x)} rows; expected {len(data.texts)}, as the data have")
    return {"features": np.asarray(x, np.float32)}


def _stored_note(side: Side) -> file.ModelNote:
    path = Path(side.model)
    return file.ModelNote(path.stem, STORED, side.licence, models.sha256(path), {"features": f"all of {path.name}"})


def _part(path: Path, rows: int) -> dict[str, NDArray[Any]] | None:
    """A part that is there and whole; None: it must be made."""
    try:
        part = file.load(path)
    except (OSError, ValueError):
        return None
    return part if part and all(len(x) == rows for x in part.values()) else None
