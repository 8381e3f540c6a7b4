"""What run process, hub and scorers say to each other. Every message is a typed record on a `wire.Channel`.

What a ledger or a vault keeps besides stands in `recorded.py`; everything here is forgotten when it has been read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.referee import SCRIPTED
from toprope.referee.recorded import Answer, Opened, Reply
from toprope.space import Space
from toprope.stats.leak import TICKS
from toprope.types import Block, BlockResult, Candidate, Floats, Outcome, Split, Tree

# ---------------------------------------------------------------- to and from a scorer


class ScorerConfig(msgspec.Struct, frozen=True, tag=True):
    """secrets: only those of the splits this scorer may score; a dev scorer holds the dev secret alone. traps: what the
    decoys of this sitting are made from; None plants nothing. marked: say what the draws are (`referee/mark.py`)."""

    task: str
    secrets: dict[Split, bytes]
    tier: str
    traps: bytes | None = None
    marked: bool = False


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
    replicate: int = 0  # other candidate seeds on the same draws
    limit_s: float | None = None  # wall and CPU seconds of a call, where they are to be less than the task allows


class Done(msgspec.Struct, frozen=True, tag=True):
    """The columns of one block with the anchors of its draws, each of shape (n_draws,)."""

    id: int
    result: BlockResult
    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]

    def answers(self, work: Work) -> bool:
        """Is it about this work, with a number for every draw where a variant ended ok, and none where it did not?"""
        k, n = len(work.block.rows), len(work.block.draws)
        r = self.result
        anchors = (self.floors, self.ceilings, self.groups)
        if self.id != work.id or r.scores.shape != (k, n) or any(a.shape != (n,) for a in anchors):
            return False
        if len(r.outcomes) != k or not set(r.messages) | set(r.incidents) <= set(range(k)):
            return False
        ok = np.array([o is Outcome.OK for o in r.outcomes], dtype=bool)
        sane = np.isfinite([r.cpu_s, r.wall_s, *self.floors, *self.ceilings]).all()
        return bool(sane and np.isfinite(r.scores[ok]).all() and np.isnan(r.scores[~ok]).all())


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Question(msgspec.Struct, frozen=True, tag=True):
    """What a candidate asks the model that its task allows, on its way to whoever holds it. sample: which of the
    replies that the same messages may have."""

    messages: list[Said]
    sample: int = 0


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scorer's sandbox stands and its draws can be made. mark: digests of a few, where they are wished for."""

    protection: dict[str, Any]
    mark: dict[str, str] = {}


class Progress(msgspec.Struct, frozen=True, tag=True):
    what: str
    done: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker that cannot go on, in words for the user."""

    message: str
    exit_code: int = 2


# ---------------------------------------------------------------- to and from the hub


class HubConfig(msgspec.Struct, frozen=True, tag=True):
    """rehearsal: replaces the random run secret; such a run certifies nothing. sitting: the last one that the run's
    ledger records, 0 for none; what is older than the vault's memory is a copy. beacon_round: the public beacon's
    round whose value will decide the test draws, named before anything is climbed. model: that candidates may ask on
    hidden draws; tokens: the hard cap on that, None for no cap; purse: of all runs of the vault together.
    """

    run: str
    task: str
    tier: str
    workers: int
    vault: str
    rehearsal: str | None = None
    sitting: int = 0
    beacon_round: str | None = None
    model: str = SCRIPTED
    tokens: int | None = None
    purse: int | None = None


class HubReady(msgspec.Struct, frozen=True, tag=True):
    """sitting: this one's number, to be recorded and acknowledged. number: this run's place among the vault's runs on
    the task. detectable: gain in the unit of a draw's score that a gate slice resolves with power 0.8 at the 1,000th
    attempt, between candidates of the task's usual spread. confined: the referee is another user.
    code: digest of its copy of the task.
    """

    commitment: str
    certifying: bool
    number: int
    vault_since: str
    hidden: str
    protection: dict[str, Any]
    detectable: float
    sitting: int
    confined: bool = False
    code: str = ""


class Acknowledge(msgspec.Struct, frozen=True, tag=True):
    """The run's ledger holds the number of this sitting: who presents an older one is a copy."""

    sitting: int


class Attempt(msgspec.Struct, frozen=True, tag=True):
    """Candidate against champion on the open slice of val. pace: the answer's first tick is at tick_s * 2^pace. ticks:
    moments at which it may leave; work that misses the last one is ended."""

    candidate: Candidate
    pace: Annotated[int, msgspec.Meta(ge=0, le=12)] = 0
    ticks: Annotated[int, msgspec.Meta(ge=1, le=TICKS)] = TICKS


class Commit(msgspec.Struct, frozen=True, tag=True):
    """The one candidate the test will be opened for, before the beacon's round. head: of the ledger that holds it."""

    candidate: str
    head: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """The vault holds the commitment."""


class Unseal(msgspec.Struct, frozen=True, tag=True):
    """Open the test for the champion the ledger has committed to. head: of the ledger with the commitment, kept by the
    vault. beacon: the value of the round that the run named.
    """

    candidate: Candidate
    head: str = ""
    beacon: str | None = None


ToScorer = Load | Work | Reply
FromScorer = Ready | Progress | Question | Done | Failed
ToHub = Acknowledge | Attempt | Commit | Unseal
FromHub = HubReady | Progress | Answer | Noted | Opened | Failed
