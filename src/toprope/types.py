"""Plain records that cross module and process walls. No behaviour beyond identity; numpy only where data is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
Json = None | bool | int | float | str | list[Any] | dict[str, Any]
Split = Literal["dev", "val", "measure", "test"]


class Outcome(StrEnum):
    """How an experiment ended. Only `ok` carries a score; the others are recorded data, never a score of zero."""

    OK = "ok"
    INVALID = "invalid"  # wrong shape, non-finite number, value out of range, missing function
    CRASH = "crash"  # an exception, a fatal signal, an early exit
    TIMEOUT = "timeout"  # wall or CPU limit
    MEMORY = "memory"  # address-space limit
    OUTPUT = "output"  # more bytes than the schema allows
    VIOLATION = "violation"  # a forbidden system call or a forged frame


class Tree(msgspec.Struct, frozen=True):
    """A candidate's files: relative POSIX path -> bytes."""

    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """sha256 over the sorted (path, bytes) pairs, each length-prefixed, so no two trees share an encoding."""
        h = hashlib.sha256(b"toprope tree 1")
        for path, data in sorted(self.files.items()):
            for part in (path.encode(), data):
                h.update(len(part).to_bytes(8, "big") + part)
        return h.hexdigest()


def candidate_id(tree_digest: str, params: Mapping[str, Json]) -> str:
    """Identity of a candidate: sha256 of its tree digest and its parameters in canonical JSON.

    Raises UsageError for parameters that JSON cannot hold.
    """
    try:
        canonical = json.dumps(params, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as e:
        raise UsageError(
            f"parameters of a candidate cannot be written as JSON: {str(e)[:200]}; "
            "expected an object of finite numbers, strings, lists and objects"
        ) from None
    return hashlib.sha256(f"{tree_digest}\n{canonical}".encode()).hexdigest()


class Array(msgspec.Struct, frozen=True):
    """What one output must be: exact dtype, shape and range. Every value must be finite.

    dtype: numpy code, one of f4 f8 i4 i8 u1. low, high: inclusive bounds, None for unbounded.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None


class Call(msgspec.Struct, frozen=True):
    """One call of a candidate's function `fn`.

    args: names of public arrays, of arrays of this round, or of kept objects, passed by position.
    kwargs: the same, passed by keyword if the function accepts that name. `params` and `rng` are passed by keyword to
    every function that accepts them. returns: the schema of what must come back (several: a tuple). keep: store
    the returned object in the child under this name instead of sending it; with both, the function returns its answers
    followed by what is kept, `(answer, state)`. A call that takes what it keeps is given None the first time. each:
    name of an array of packed cases (sandbox/inside/cases.py): the function is called once for each, `fn(argv, stdin,
    files)`, bytes in and bytes out, and all answers come back in the one u1 array (cases, width) that `returns`
    declares. texts: names of u1 arrays that hold UTF-8 JSON and are handed over as what it says. items: name of such an
    array with a list of argument lists: the function is called once for each, after `args`, and its answers together
    form one array of `returns`.
    """

    fn: str
    args: tuple[str, ...] = ()
    kwargs: tuple[str, ...] = ()
    returns: tuple[Array, ...] = ()
    keep: str | None = None
    each: str | None = None
    texts: tuple[str, ...] = ()
    items: str | None = None


class Round(msgspec.Struct, frozen=True):
    """Calls made one after another on each variant of a block before anything is sent back.

    arrays: data that the candidate gets only from this round on (test rows after `fit`, for example). own: the same,
    but (k, *shape), one row per variant of the block; each variant gets its own row, such as a state that depends on
    its earlier answers.
    """

    calls: tuple[Call, ...]
    arrays: dict[str, NDArray[Any]] = {}
    own: dict[str, NDArray[Any]] = {}


class Draw(msgspec.Struct, frozen=True):
    """One generated evaluation instance, the unit of all statistics.

    public: what the candidate sees. private: what only the scorer holds. floor, ceiling: this draw's anchors in the
    unit of `Task.score`; the value of a candidate is sum(score - floor) / sum(ceiling - floor) over draws. group:
    number of the kind of draw (a concept, a cell), so that intervals can resample kinds before draws.
    """

    public: dict[str, NDArray[Any]]
    private: Any
    floor: float = 0.0
    ceiling: float = 1.0
    group: int = 0


class Anchors(NamedTuple):
    """Floor and ceiling of every dev draw, each (n_draws,)."""

    floors: Floats
    ceilings: Floats

    def value(self, scores: NDArray[np.floating]) -> Floats:
        """Normalised values (...,) of (..., j) scores on the first j draws: a ratio of sums, rounded to 6 decimals."""
        j = scores.shape[-1]
        gaps = self.ceilings[:j] - self.floors[:j]
        values: Floats = (scores - self.floors[:j]).sum(-1) / gaps.sum()
        return values.round(6)


class Limits(msgspec.Struct, frozen=True):
    """What one child may use. wall_s: seconds per variant and round. cpu_s: CPU seconds per variant and round, summed
    over the child. memory_mb: address space in MiB."""

    wall_s: float = 10.0
    cpu_s: float = 10.0
    memory_mb: int = 512


class Block(msgspec.Struct, frozen=True):
    """The engine's unit of work: one author's variants, run in one child. A fresh candidate is a block of one.

    tree: digest of the files. space: digest of the space that gives the rows their meaning. rows: (k, p) uint8.
    draws: indices into the split. first: index in the run of the first variant's experiment.
    """

    tree: str
    space: str
    rows: Codes
    draws: tuple[int, ...]
    first: int = 0


class Candidate(msgspec.Struct, frozen=True):
    """A tree and the one parameter dictionary that makes it runnable."""

    tree: Tree
    params: dict[str, Any]

    @property
    def id(self) -> str:
        return candidate_id(self.tree.digest, self.params)


class Incident(msgspec.Struct, frozen=True):
    """Something a tripwire or honeypot saw. severity: "certain" (an analytic bound, or proof by construction) or
    "advisory". evidence: what was seen, for the operator; it may quote the candidate, so it is hostile text."""

    kind: str
    severity: str
    evidence: str


def merged(incidents: Iterable[Incident]) -> list[Incident]:
    """The first incident of each kind and severity, in order."""
    first: dict[tuple[str, str], Incident] = {}
    for i in incidents:
        first.setdefault((i.kind, i.severity), i)
    return list(first.values())


def certain(incidents: Iterable[Incident]) -> bool:
    """Whether at least one of them has severity "certain"."""
    return any(i.severity == "certain" for i in incidents)


class BlockResult(msgspec.Struct, frozen=True):
    """scores: (k, n_draws), NaN where the outcome is not ok. outcomes: one per variant, k in all. messages, incidents:
    by number of the variant; messages exist on dev only. cpu_s, wall_s: of the whole block."""

    scores: Floats
    outcomes: list[Outcome]
    messages: dict[int, str]
    cpu_s: float
    wall_s: float
    incidents: dict[int, list[Incident]] = {}
