"""Search spaces: every dimension is a short list of levels, a point is a row of level numbers (uint8).

Coarse on purpose. A row of p bytes is exact on every machine, hashes and compares as bytes, keeps the ledger small,
and needs no numeric parsing inside the sandbox: a parameter is `levels[code]`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TypeGuard

import msgspec
import numpy as np

from toprope.errors import UsageError
from toprope.types import Codes, Json

MAX_LEVELS = 256


class Dim(msgspec.Struct, frozen=True):
    """One parameter. levels: its possible values. ordered: neighbours in the list are neighbours in meaning."""

    name: str
    levels: list[Json]
    default: int = 0
    ordered: bool = False


class Space(msgspec.Struct, frozen=True):
    """Dimensions in order. slots: groups of dimension numbers that crossover exchanges whole."""

    dims: list[Dim]
    slots: list[list[int]] = []

    @property
    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    @property
    def sizes(self) -> Codes:
        """The largest legal code of each dimension: its number of levels minus one, so that it fits a byte. (p,)."""
        return np.array([len(d.levels) - 1 for d in self.dims], dtype=np.uint8)

    @property
    def points(self) -> int:
        return math.prod(len(d.levels) for d in self.dims)

    def default(self) -> Codes:
        """The point every climb starts from. Shape (p,)."""
        return np.array([d.default for d in self.dims], dtype=np.uint8)

    def decode(self, row: Codes) -> dict[str, Json]:
        return {d.name: d.levels[int(c)] for d, c in zip(self.dims, row, strict=True)}

    def encode(self, params: Mapping[str, Json]) -> Codes:
        """The row (p,) of the given parameters, with the others at their default. In an ordered dimension, a number
        snaps to the nearest level.

        Raises UsageError for an unknown name or a value that is not among the levels.
        """
        row = self.default()
        by_name = {d.name: i for i, d in enumerate(self.dims)}
        for name, value in params.items():
            if name not in by_name:
                raise UsageError(f"parameter {name[:80]!r} is not in this space; it has {', '.join(by_name)}")
            row[by_name[name]] = _nearest(self.dims[by_name[name]], value)
        return row


def _nearest(dim: Dim, value: Json) -> int:
    for i, level in enumerate(dim.levels):
        if level == value and (json.dumps(level) == json.dumps(value) or (_is_number(level) and _is_number(value))):
            return i  # their text is compared too, because True == 1, inside lists as well
    numbers = [x for x in dim.levels if _is_number(x)]
    if (
        not dim.ordered
        or not _is_number(value)
        or not abs(value) <= sys.float_info.max
        or len(numbers) != len(dim.levels)
    ):
        raise UsageError(f"parameter {dim.name!r} = {repr(value)[:80]}; expected one of {dim.levels}")
    return min(range(len(numbers)), key=lambda i: abs(numbers[i] - value))


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def linear(name: str, low: float, high: float, levels: int, default: float) -> Dim:
    """Evenly spaced numbers from low to high, rounded to 4 digits. Raises UsageError for more than 256 levels."""
    return _numeric(name, np.linspace(low, high, levels), default)


def log(name: str, low: float, high: float, levels: int, default: float) -> Dim:
    """Geometrically spaced numbers from low to high, both positive, rounded to 4 digits. Raises UsageError for more
    than 256 levels."""
    return _numeric(name, np.geomspace(low, high, levels), default)


def choice(name: str, options: Sequence[Json], default: int = 0) -> Dim:
    """Options without order. default: the number of the default option."""
    return Dim(name, list(options), default)


def several(params: Sequence[Mapping[str, Json]]) -> tuple[Space, Codes]:
    """The smallest space that holds these k parameter dictionaries with the same names, and their (k, p) rows."""
    names = sorted(params[0])
    levels: dict[str, list[Json]] = {name: [] for name in names}
    rows = np.zeros((len(params), len(names)), dtype=np.uint8)
    for i, given in enumerate(params):
        for j, name in enumerate(names):
            value, known = given[name], levels[name]
            at = next((n for n, x in enumerate(known) if x == value and type(x) is type(value)), len(known))
            if at == len(known):
                known.append(value)
            rows[i, j] = at
    return Space([Dim(name, levels[name]) for name in names]), rows


def _numeric(name: str, values: Sequence[float] | np.ndarray, default: float) -> Dim:
    rounded: list[Json] = [float(f"{v:.4g}") for v in values]
    if len(rounded) > MAX_LEVELS:
        raise UsageError(f"dimension {name!r} has {len(rounded)} levels; expected at most {MAX_LEVELS}")
    nearest = min(range(len(rounded)), key=lambda i: abs(float(values[i]) - default))
    assert math.isfinite(default)
    return Dim(name, rounded, nearest, ordered=True)
