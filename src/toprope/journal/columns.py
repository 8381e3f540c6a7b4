"""The experiments of a run as columns of equal length, for data frames, CSV and Parquet: one row an experiment.

A proposal that repeats an earlier one is not scored again; it has a number, but no row here. Only the blocks between
two barriers are in memory. Columns are filled by NumPy, so a run of 10^6 experiments never becomes 10^6 dictionaries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.journal.blocks import in_turn
from toprope.journal.records import BlockRecord, Generation, Opening
from toprope.space import Dim
from toprope.types import Anchors

Columns = dict[str, NDArray[Any]]
Kind = Literal["pandas", "polars", "dict"]
LIBRARIES: tuple[Kind, ...] = ("pandas", "polars")  # of data frames; the first one that is installed is taken
PARAMETER = "params_"  # stands before a parameter's name, so that no task can hide a column of ours
AFTER = -1  # the generation of experiments after the last barrier
TEXT = np.dtype(object)

_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class Part(NamedTuple):
    """Some experiments of a run in order. columns: name -> (n,), as in `RunHistory.frame`. scores: (n, draws), what the
    task scored on dev draws 0, 1, ...; NaN where an experiment did not see the draw."""

    columns: Columns
    scores: NDArray[np.float32]


def parts(
    o: Opening, barriers: Iterable[tuple[Generation | None, list[BlockRecord]]], authored: bool
) -> Iterator[Part]:
    """One part for each barrier. barriers: as `RunHistory.by_barrier` gives them. authored: the run has authors."""
    told = _authored(o) if authored else _points(o)
    for barrier, blocks in barriers:
        yield _part(o, AFTER if barrier is None else barrier.number, blocks, told)


def joined(some: Sequence[Columns]) -> Columns:
    """The columns of all parts, of which there is at least one, as one set."""
    return {name: np.concatenate([columns[name] for columns in some]) for name in some[0]}


Told = Callable[[Sequence[BlockRecord], NDArray[np.int64], NDArray[np.uint32]], Columns]
"""What identifies candidates. (blocks that begin experiments, (n,) position of each experiment in them, (n,)
experiments) -> columns of length n."""


def _part(o: Opening, generation: int, blocks: Sequence[BlockRecord], told: Told) -> Part:
    first, draws, empty = [b for b in blocks if b.begins], len(o.floors), np.empty(0, np.uint32)
    experiments, source = np.unique(np.concatenate([empty, *(b.experiments for b in first)]), return_index=True)
    n = len(experiments)
    outcome, message = np.full(n, "ok", TEXT), np.full(n, "", TEXT)
    scores, seen, first_draw = np.full((n, draws), np.nan, np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32)
    cpu_s = np.zeros(n)
    for b in in_turn(blocks, draws):
        at = np.searchsorted(experiments, b.experiments)
        known = at < n
        known[known] = experiments[at[known]] == b.experiments[known]
        at[~known] = 0
        cpu_s[at[known]] += b.cpu_s / len(at)
        before = b.before(draws)
        on = known & (seen[at] == before) & (outcome[at] == "ok") if n else known  # a killed run may lack draws before
        for i in np.flatnonzero(on & np.isin(np.arange(len(at)), list(b.outcomes))).tolist():
            outcome[at[i]], message[at[i]], on[i] = b.outcomes[i], b.messages.get(i, ""), False
        scores[at[on], b.lo : b.hi] = b.scores[on]
        seen[at[on]] = before + b.hi - b.lo
        first_draw[at[known]] = b.first_draw
    columns = {
        "experiment": experiments.astype(np.int64),
        "generation": np.full(n, generation, np.int64),
        **told(first, source, experiments),
        "dev": _values(o, scores, outcome == "ok"),
        "draws": seen,
        "first_draw": first_draw,
        "outcome": outcome,
        "message": message,
        "cpu_s": cpu_s,
    }
    return Part(columns, scores)


def _values(o: Opening, scores: NDArray[np.float32], ok: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) normalised means over the draws that each has seen; NaN for those that did not end ok."""
    values, seen = np.full(len(ok), np.nan), ~np.isnan(scores)
    for draws in np.unique(seen[ok], axis=0):
        if draws.any():
            some = ok & (seen == draws).all(axis=1)
            anchors = Anchors(o.floors[draws], o.ceilings[draws])
            values[some] = anchors.value(scores[np.ix_(some, draws)].astype(np.float64))
    return values


# ---------------------------------------------------------------- candidates


def _points(o: Opening) -> Told:
    """Of a run whose candidates are points of its space: candidate, and a column for each parameter."""
    dims = {d.name: (i, d) for i, d in enumerate(o.space.dims)}
    levels = {name: _levels(d) for name, (_, d) in dims.items()}
    ids = _ids(o.tree.digest, [dims[name] for name in sorted(dims)])

    def told(first: Sequence[BlockRecord], source: NDArray[np.int64], experiments: NDArray[np.uint32]) -> Columns:
        width = len(o.space.dims)
        rows = np.concatenate([np.empty((0, width), np.uint8), *(b.rows for b in first)])[source]
        params = {PARAMETER + name: levels[name][rows[:, i]] for name, (i, _) in dims.items()}
        return {"candidate": np.array([ids(row) for row in rows.tolist()], TEXT), **params}

    return told


def _levels(dim: Dim) -> NDArray[Any]:
    """A dimension's levels in the narrowest of bool, int64, float64 and text that holds them all. Levels of other or
    mixed kinds are told as JSON."""
    kinds = {type(x) for x in dim.levels}
    if kinds == {bool}:
        return np.array(dim.levels, np.bool_)
    if kinds == {int} and all(-(2**63) <= x < 2**63 for x in dim.levels):  # type: ignore[operator]
        return np.array(dim.levels, np.int64)
    if kinds and kinds <= {int, float}:
        return np.array(dim.levels, np.float64)
    return np.array(dim.levels if kinds == {str} else [_json(x) for x in dim.levels], TEXT)


def _ids(tree: str, dims: Sequence[tuple[int, Dim]]) -> Callable[[list[int]], str]:
    """Row -> `types.candidate_id` of its candidate, from JSON that is made once for each level. dims: sorted by name,
    with their positions."""
    places = [i for i, _ in dims]
    words = [[f"{_json(d.name)}:{_json(level)}" for level in d.levels] for _, d in dims]
    head = sha256(f"{tree}\n".encode())

    def name(row: list[int]) -> str:
        h = head.copy()
        h.update(f"{{{','.join([words[k][row[i]] for k, i in enumerate(places)])}}}".encode())
        return h.hexdigest()

    return name


def _authored(o: Opening) -> Told:
    """Of a run whose authors bring candidates of their own, with parameters of any name: candidate, author, parent, and
    the parameters as one JSON object."""

    def told(first: Sequence[BlockRecord], source: NDArray[np.int64], experiments: NDArray[np.uint32]) -> Columns:
        places = [(b, i) for b in first for i in range(len(b.experiments))]
        rows = []
        for b, i in (places[k] for k in source.tolist()):
            candidate, author = o.candidate(b, i), b.author
            said = (author.name, author.parent) if author is not None else ("", "")
            rows.append((candidate.id, *said, _json(candidate.params)))
        names = ("candidate", "author", "parent", "params")
        return {name: np.array([row[k] for row in rows], TEXT) for k, name in enumerate(names)}

    return told


# ---------------------------------------------------------------- data frames


def frame(columns: Columns, to: Kind | None) -> Any:
    """The columns as a DataFrame. to: as in `RunHistory.frame`. Raises UsageError for a library that is not installed
    or not known."""
    if to is None:
        to = next((kind for kind in LIBRARIES if find_spec(kind) is not None), "dict")
    if to == "dict":
        return columns
    if to not in LIBRARIES:
        raise UsageError(f"frame(to={to!r}): expected pandas, polars or dict")
    try:
        library = import_module(to)
    except ImportError as e:
        raise UsageError(f"frame(to={to!r}) needs {to} ({e}); `pip install {to}`, or frame(to='dict')") from e
    if to == "polars":  # it takes an array of objects for objects of any kind
        return library.DataFrame(
            [
                library.Series(name, x.tolist(), dtype=library.String) if x.dtype == TEXT else library.Series(name, x)
                for name, x in columns.items()
            ]
        )
    return library.DataFrame(columns)
