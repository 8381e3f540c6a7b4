"""The file format of a bank of real activations: what `toprope extract` writes and `w2s/bank-v1` draws from.

A bank is two files without pickled objects. NAME.npz holds what describes the texts: activations of a strong and of a
weak model, margins, groups, and a manifest that says where all of it comes from. NAME.gold.npz holds the labels of many
concepts; only the referee reads it.

    NAME.npz       manifest          JSON of `Manifest` as bytes
                   strong/LAYER      (N, d) float16 or float32, or int8 with scale/strong/LAYER (d,)
                   weak/LAYER        (N, k) the same for the weak model
                   origin            (N,) int32: rows of one origin share a number; no draw has one in pool and in test
                   texts             (N,) uint64: the first eight bytes of the text's sha256
                   margins           (N,) float32, optional: the strong model's zero-shot margin
                   groups            (N,) int32, optional: answers to one question share a number
                   weak_probs        (C, N) float16, optional: the weak model's own probability of each concept
    NAME.gold.npz  manifest          the same bytes, so that files of two banks cannot be mixed up
                   labels            (C, N) int8: 1, 0, or -1 where the concept does not apply
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError

FORMAT = 1
GOLD = ".gold.npz"
CLIP = 6.0  # standard deviations that int8 holds; a standardised feature beyond them is clipped
F4 = NDArray[np.float32]


class ModelNote(msgspec.Struct, frozen=True):
    """Where activations come from. kind: `causal language model` or `encoder`. sha256: of the file of weights.
    layers: name of each array -> what it is."""

    name: str
    kind: str
    licence: str
    sha256: str
    layers: dict[str, str]


class Concept(msgspec.Struct, frozen=True):
    """One binary property of texts and what admission draws measured of it.

    kind: how its labels came about (`hypernym`, `section`, ...). draws: number of draws that floor (the teacher's
    accuracy), ceiling and gap (ceiling - floor, se: its standard error) are means of; 0: not measured.
    """

    name: str
    kind: str
    draws: int = 0
    floor: float = 0.0
    ceiling: float = 0.0
    gap: float = 0.0
    se: float = 0.0


class Manifest(msgspec.Struct, frozen=True):
    """source: of the texts. licence: of texts and labels, and what it asks for. command: that made the bank."""

    name: str
    strong: ModelNote
    weak: ModelNote
    source: str
    licence: str
    concepts: list[Concept]
    command: str
    format: int = FORMAT


class Bank(NamedTuple):
    """A bank in memory. strong, weak: layer -> (N, d) float32. origin (N,), texts (N,); margins (N,), groups (N,) and
    weak_probs (C, N) or None."""

    manifest: Manifest
    strong: dict[str, F4]
    weak: dict[str, F4]
    origin: NDArray[np.int32]
    texts: NDArray[np.uint64]
    margins: F4 | None = None
    groups: NDArray[np.int32] | None = None
    weak_probs: NDArray[np.float16] | None = None


Labels = NDArray[np.int8]  # (C, N)


def gold_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".npz") + GOLD)


def write(path: Path, bank: Bank, labels: Labels, small: bool = False) -> None:
    """Write both files, each renamed into place whole. small: features as int8, an eighth of float64's size."""
    note = np.frombuffer(msgspec.json.encode(bank.manifest), np.uint8)
    arrays: dict[str, NDArray[Any]] = {"manifest": note, "origin": bank.origin, "texts": bank.texts}
    for side, layers in (("strong", bank.strong), ("weak", bank.weak)):
        for name, x in layers.items():
            if small:
                scale = np.asarray(x.std(0) * CLIP / 127 + 1e-12, np.float32)
                arrays[f"{side}/{name}"] = np.clip(np.round(x / scale), -127, 127).astype(np.int8)
                arrays[f"scale/{side}/{name}"] = scale
            else:
                arrays[f"{side}/{name}"] = x.astype(np.float16)
    for name in ("margins", "groups", "weak_probs"):
        if (column := getattr(bank, name)) is not None:
            arrays[name] = column
    save(path, arrays)
    save(gold_path(path), {"manifest": note, "labels": labels.astype(np.int8)})


def read(path: Path) -> Bank:
    """The bank of NAME.npz, without its labels. Raises UsageError if the file is missing, damaged or not a bank."""
    arrays = _load(path)
    manifest = _manifest(path, arrays)
    try:
        bank = _bank(manifest, arrays)
    except (KeyError, ValueError, TypeError) as e:
        raise UsageError(f"bank {str(path)!r} lacks an array or has one of another kind ({e}); extract it again") from e
    _check(path, bank)
    return bank


def _bank(manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> Bank:
    sides: dict[str, dict[str, F4]] = {"strong": {}, "weak": {}}
    for key, x in arrays.items():
        side, _, name = key.partition("/")
        if side in sides and name:
            features = np.asarray(x, np.float32)
            sides[side][name] = features * arrays[f"scale/{key}"] if x.dtype == np.int8 else features
    return Bank(
        manifest,
        sides["strong"],
        sides["weak"],
        arrays["origin"].astype(np.int32),
        arrays["texts"].astype(np.uint64),
        arrays["margins"].astype(np.float32) if "margins" in arrays else None,
        arrays["groups"].astype(np.int32) if "groups" in arrays else None,
        arrays.get("weak_probs"),
    )


def read_labels(path: Path, bank: Bank) -> Labels:
    """(C, N) labels of the bank NAME.npz. Raises UsageError if the gold file is missing, damaged or another bank's."""
    gold = gold_path(path)
    arrays = _load(gold)
    if _manifest(gold, arrays) != bank.manifest:
        raise UsageError(f"bank {str(gold)!r} holds the labels of another bank; expected those of {path.name}")
    labels = np.asarray(arrays.get("labels", np.empty(0)))
    shape = (len(bank.manifest.concepts), len(bank.origin))
    if labels.shape != shape or labels.dtype != np.int8 or not np.isin(labels, (-1, 0, 1)).all():
        raise UsageError(
            f"bank {str(gold)!r}: labels are {labels.dtype} of shape {labels.shape}; expected int8 in -1, 0, 1 "
            f"of shape {shape} (concepts, rows)"
        )
    return labels


def digest(path: Path) -> str:
    """sha256 over both files: which bank a run was climbed on."""
    h = hashlib.sha256()
    for part in (path, gold_path(path)):
        h.update(hashlib.sha256(part.read_bytes()).digest())
    return h.hexdigest()


def text_hash(text: str) -> np.uint64:
    """What `texts` holds of a text, white space made single."""
    return np.uint64(int.from_bytes(hashlib.sha256(" ".join(text.split()).encode()).digest()[:8], "little"))


def _check(path: Path, bank: Bank) -> None:
    n = len(np.atleast_1d(bank.origin))
    if not bank.strong or not (bank.weak or bank.weak_probs is not None):
        raise UsageError(f"bank {str(path)!r} has no strong or no weak features; expected strong/LAYER and weak/LAYER")
    columns: dict[str, NDArray[Any] | None] = {
        "origin": bank.origin,
        "texts": bank.texts,
        "margins": bank.margins,
        "groups": bank.groups,
    }
    columns |= {f"strong/{k}": x for k, x in bank.strong.items()} | {f"weak/{k}": x for k, x in bank.weak.items()}
    for name, column in columns.items():
        if column is None:
            continue
        wide = name.startswith(("strong/", "weak/"))
        if column.shape[:1] != (n,) or column.ndim != 1 + wide:
            meant = "(rows, features)" if wide else "(rows,)"
            raise UsageError(f"bank {str(path)!r}: {name} has shape {column.shape}; expected {meant} of {n} rows")
        if not np.isfinite(column).all():
            raise UsageError(f"bank {str(path)!r}: {name} holds numbers that are not finite; extract it again")
    shape = (len(bank.manifest.concepts), n)
    if bank.weak_probs is not None and bank.weak_probs.shape != shape:
        raise UsageError(f"bank {str(path)!r}: weak_probs has shape {bank.weak_probs.shape}; expected {shape}")


def _manifest(path: Path, arrays: dict[str, NDArray[Any]]) -> Manifest:
    try:
        manifest = msgspec.json.decode(arrays["manifest"].tobytes(), type=Manifest)
    except (KeyError, msgspec.DecodeError) as e:
        raise UsageError(f"{str(path)!r} is not a bank: its manifest is unreadable ({e}); see `toprope extract`") from e
    if manifest.format > FORMAT:
        raise UsageError(
            f"bank {str(path)!r} has format {manifest.format}; this version reads up to {FORMAT}: update toprope"
        )
    return manifest


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return load(path)
    except FileNotFoundError:
        raise UsageError(f"bank {str(path)!r} does not exist; expected an .npz that `toprope extract` made") from None
    except (OSError, ValueError) as e:
        raise UsageError(f"bank {str(path)!r} cannot be read ({e}); expected an .npz without pickled objects") from None


def save(path: Path, arrays: Mapping[str, NDArray[Any]], compressed: bool = True) -> None:
    """Write an .npz and rename it into place whole; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing.open("wb") as out:
            # the stub of both takes the flag allow_pickle for one of the arrays
            (np.savez_compressed if compressed else np.savez)(out, **arrays)  # type: ignore[arg-type]
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz. Raises OSError or ValueError if it is missing, damaged, or holds pickled objects."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, AttributeError, TypeError, RuntimeError, KeyError) as e:
        raise ValueError(f"no .npz that is whole: {e}") from None
