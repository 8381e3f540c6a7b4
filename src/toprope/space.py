"""Search spaces: every dimension is a short list of levels, a point is a row of level numbers (uint8).

Coarse on purpose. A row of p bytes is exact on every machine, hashes and compares as bytes, keeps the ledger small,
and needs no numeric parsing inside the sandbox: a parameter is `levels[code]`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypeGuard

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.types import Codes, Json

MAX_LEVELS = 256
COUNTED = 2**20  # combinations of the parameters that conditions name, up to which points are counted


class Dim(msgspec.Struct, frozen=True):
    """One parameter. levels: its possible values. ordered: neighbours in the list are neighbours in meaning. when: the
    parameter has an effect only where one of these holds, each a set of other parameters and the values that they must
    have; []: everywhere. A parameter without effect is at its default in what is tried, so no experiment is spent on
    twins."""

    name: str
    levels: list[Json]
    default: int = 0
    ordered: bool = False
    when: list[dict[str, list[Json]]] = []


class Space(msgspec.Struct, frozen=True):
    """Dimensions in order. slots: groups of dimension numbers that crossover exchanges whole."""

    dims: list[Dim]
    slots: list[list[int]] = []

    @property
    def digest(self) -> str:
        said = msgspec.to_builtins(self)
        for dim in said["dims"]:
            if not dim["when"]:
                del dim["when"]  # spaces without conditions keep the digest that earlier versions recorded
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()

    @property
    def sizes(self) -> Codes:
        """The largest legal code of each dimension: its number of levels minus one, so that it fits a byte. (p,)."""
        return np.array([len(d.levels) - 1 for d in self.dims], dtype=np.uint8)

    @property
    def points(self) -> int:
        """How many points differ in a parameter that has an effect; more than that where conditions are too many to
        count."""
        return Conditions(self).points

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


class Conditions:
    """Which parameters of a point have an effect (`Dim.when`). Raises UsageError for a condition that names no other
    parameter or none of its values, or that depends on itself."""

    def __init__(self, space: Space) -> None:
        self._levels = [len(d.levels) for d in space.dims]
        self._default = space.default()
        number = {d.name: i for i, d in enumerate(space.dims)}
        # dimension -> alternatives -> the dimensions that matter, and for each which of its levels will do
        rules = {
            i: [
                [
                    (_number(number, d, name), _levels(space.dims[number[name]], d, values))
                    for name, values in all_of.items()
                ]
                for all_of in d.when
            ]
            for i, d in enumerate(space.dims)
            if d.when
        }
        self.controls = sorted({control for rule in rules.values() for all_of in rule for control, _ in all_of})
        sorter = TopologicalSorter({i: {c for all_of in rule for c, _ in all_of} for i, rule in rules.items()})
        try:
            self._rules = [(i, rules[i]) for i in sorter.static_order() if i in rules]
        except CycleError as e:
            names = " -> ".join(space.dims[i].name for i in e.args[1])
            raise UsageError(f"conditions of the space depend on each other: {names}; drop one of them") from None

    def active(self, rows: Codes) -> NDArray[np.bool_]:
        """(k, p) rows -> (k, p) whether each parameter has an effect."""
        return self._settled(rows)[1]

    def canonical(self, rows: Codes) -> Codes:
        """(k, p) rows with every parameter that has no effect at its default."""
        return self._settled(rows)[0] if self._rules else rows

    def _settled(self, rows: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        rows, active = rows.copy(), np.ones(rows.shape, bool)
        for i, rule in self._rules:
            active[:, i] = np.any(
                [np.all([allowed[rows[:, c]] for c, allowed in all_of], axis=0) for all_of in rule], axis=0
            )
            rows[~active[:, i], i] = self._default[i]
        return rows, active

    @property
    def points(self) -> int:
        """Canonical rows; where the parameters that conditions name have more than COUNTED combinations, all rows."""
        some = [self._levels[i] for i in self.controls]
        if not self._rules or math.prod(some) > COUNTED:
            return math.prod(self._levels)
        rows = np.tile(self._default, (math.prod(some), 1))
        rows[:, self.controls] = np.indices(some, np.uint8).reshape(len(some), -1).T
        settled, active = self._settled(rows)
        active = active[(settled == rows).all(axis=1)]
        active[:, self.controls] = False  # counted by the rows
        kinds = Counter(map(bytes, active))
        return sum(
            n * math.prod(size for size, on in zip(self._levels, kind, strict=True) if on) for kind, n in kinds.items()
        )


def _number(number: Mapping[str, int], dim: Dim, name: str) -> int:
    if name not in number or name == dim.name:
        raise UsageError(
            f"parameter {dim.name!r} has a condition on {name!r}; expected another parameter of the space: "
            f"{', '.join(n for n in number if n != dim.name)}"
        )
    return number[name]


def _levels(control: Dim, dim: Dim, values: Sequence[Json]) -> NDArray[np.bool_]:
    """(levels,) which levels of `control` are among `values`."""
    found = np.array([any(_same(level, v) for v in values) for level in control.levels])
    if found.sum() != len(values):
        raise UsageError(
            f"parameter {dim.name!r} has a condition on {control.name!r} = {repr(values)[:80]}; expected some of its "
            f"levels, {control.levels}"
        )
    return found


def given(dims: Sequence[Dim], *alternatives: Mapping[str, Sequence[Json]]) -> list[Dim]:
    """The same parameters, with an effect only where one of the alternatives holds (`Dim.when`)."""
    return [msgspec.structs.replace(d, when=[{k: list(v) for k, v in a.items()} for a in alternatives]) for d in dims]


def all_but(dim: Dim, *values: Json) -> dict[str, list[Json]]:
    """For `given`: the parameter has another level than these."""
    return {dim.name: [level for level in dim.levels if not any(_same(level, v) for v in values)]}


def _nearest(dim: Dim, value: Json) -> int:
    for i, level in enumerate(dim.levels):
        if _same(level, value):
            return i
    numbers = [x for x in dim.levels if _is_number(x)]
    if (
        not dim.ordered
        or not _is_number(value)
        or not abs(value) <= sys.float_info.max
        or len(numbers) != len(dim.levels)
    ):
        raise UsageError(f"parameter {dim.name!r} = {repr(value)[:80]}; expected one of {dim.levels}")
    return min(range(len(numbers)), key=lambda i: abs(numbers[i] - value))


def _same(a: Json, b: Json) -> bool:
    """Whether two values are one; their text is compared too, because True == 1, inside lists as well."""
    return a == b and (json.dumps(a) == json.dumps(b) or (_is_number(a) and _is_number(b)))


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
