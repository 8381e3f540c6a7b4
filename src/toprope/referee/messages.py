"""What run process, hub and scorers say to each other. Every message is a typed record on a `wire.Channel`."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.space import Space
from toprope.stats.intervals import Estimate
from toprope.types import Block, BlockResult, Candidate, Floats, Incident, Split, Tree

# ---------------------------------------------------------------- to and from a scorer


class ScorerConfig(msgspec.Struct, frozen=True, tag=True):
    """secrets: only those of the splits this scorer may score; a dev scorer holds the dev secret alone. traps: what the
    decoys of this sitting are made from; None plants nothing."""

    task: str
    secrets: dict[Split, bytes]
    tier: str
    traps: bytes | None = None


class Load(msgspec.Struct, frozen=True, tag=True):
    """Files and spaces that later work names by digest."""

    tree: Tree | None = None
    space: Space | None = None


class Work(msgspec.Struct, frozen=True, tag=True):
    """Score a block on draws of a split's slice. detail: return error texts (dev only)."""

    id: int
    block: Block
    split: Split
    slice: int = 0
    detail: bool = False


class Done(msgspec.Struct, frozen=True, tag=True):
    """The columns of one block with the anchors of its draws, each of shape (n_draws,)."""

    id: int
    result: BlockResult
    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scorer's sandbox stands and its draws can be made."""

    protection: dict[str, Any]


class Progress(msgspec.Struct, frozen=True, tag=True):
    what: str
    done: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker that cannot go on, in words for the user."""

    message: str
    exit_code: int = 2


# ---------------------------------------------------------------- to and from the hub


class HubConfig(msgspec.Struct, frozen=True, tag=True):
    """rehearsal: replaces the random run secret; such a run certifies nothing."""

    run: str
    task: str
    tier: str
    workers: int
    vault: str
    rehearsal: str | None = None


class HubReady(msgspec.Struct, frozen=True, tag=True):
    """number: this run's place among the vault's runs on the task. detectable: gain in the unit of a draw's score that
    a gate slice resolves with power 0.8 at the 1,000th attempt, between candidates of the task's usual spread."""

    commitment: str
    certifying: bool
    number: int
    vault_since: str
    hidden: str
    protection: dict[str, Any]
    detectable: float


class Attempt(msgspec.Struct, frozen=True, tag=True):
    """Candidate against champion on the open slice of val."""

    candidate: Candidate


class Answer(msgspec.Struct, frozen=True, tag=True):
    """One bit. measured comes with a PROMOTE only, from a slice nobody had queried."""

    candidate: str
    promoted: bool
    attempt: int
    slice: int
    measured: Estimate | None = None


class Unseal(msgspec.Struct, frozen=True, tag=True):
    """Open the test for the champion the ledger has committed to; the baselines are scored on the same draws."""

    candidate: Candidate
    baselines: dict[str, Candidate]


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The sealed result, the paired differences champion - baseline, the revealed run secret, and what tripwires and
    honeypots saw of candidates on hidden draws, told now that the run is over: candidate -> incidents."""

    champion: Estimate
    baselines: dict[str, Estimate]
    gains: dict[str, Estimate]
    opening: int
    draws: int
    secret: bytes
    cpu_s: float
    incidents: dict[str, list[Incident]] = {}


ToScorer = Load | Work
FromScorer = Ready | Progress | Done | Failed
ToHub = Attempt | Unseal
FromHub = HubReady | Progress | Answer | Opened | Failed
