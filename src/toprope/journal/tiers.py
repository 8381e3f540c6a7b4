"""What `toprope transfer` measured of a run, kept beside its ledger: how its methods do on a task one tier up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from toprope.errors import UsageError
from toprope.stats.intervals import Estimate

NAME = "transfer.json"  # in a run's directory


class Rank(msgspec.Struct, frozen=True):
    """A Spearman correlation over `methods` methods with a 95 % interval."""

    value: float
    lo: float
    hi: float
    methods: int


class Pressure(msgspec.Struct, frozen=True):
    """The best method by dev after this many experiments, and its value on both tasks."""

    experiments: int
    name: str
    source: Estimate
    target: Estimate


class Transfer(msgspec.Struct, frozen=True):
    """tiers: the run's task and the other. draws: of each. top_quartile: among the best quarter on the run's task.

    stops_at: number of experiments after which the other task's value did not rise any more beyond its paired interval.
    methods: one row per method: name, kind, experiment, draws, candidate, params, and its value on both tasks.
    """

    tiers: list[str]
    draws: int
    spearman: Rank
    top_quartile: Rank
    stops_at: int
    pressure: list[Pressure]
    methods: list[dict[str, Any]]


def keep(run: Path, found: Transfer) -> Path:
    """Add the result to RUN/transfer.json, in place of an earlier one between the same tiers; return the file."""
    path = run / NAME
    others = [t for t in kept(run) if t.tiers != found.tiers]
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode([*others, found]), indent=1))
    os.replace(fresh, path)
    return path


def kept(run: Path) -> list[Transfer]:
    """What was measured of a run. Raises UsageError if the file is damaged."""
    path = run / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Transfer])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as e:
        raise UsageError(f"{path} cannot be read ({e}); remove it and measure again with `toprope transfer`") from e
