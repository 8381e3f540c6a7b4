"""Messages to and from a scorer: typed records on a `wire.Channel`."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import NoProtection, TopropeError, UsageError
from toprope.models.messages import Question, Reply
from toprope.space import Space
from toprope.types import Block, BlockResult, Floats, Outcome, Split, Tree


class ScorerConfig(msgspec.Struct, frozen=True, tag=True):
    """secrets: of the splits that this scorer may score; a dev scorer holds the dev secret only. honeypots: secret from
    which the session's decoys are made; None: no decoys. marked: return digests of a few draws (`tasks/mark.py`).
    vault: whose secret the task uses; "": this user's."""

    task: str
    secrets: dict[Split, bytes]
    tier: str
    honeypots: bytes | None = None
    marked: bool = False
    vault: str = ""


class Load(msgspec.Struct, frozen=True, tag=True):
    """Files and spaces that later work names by digest."""

    tree: Tree | None = None
    space: Space | None = None


class Work(msgspec.Struct, frozen=True, tag=True):
    """Asks to score a block on draws of a split's slice. detail: return error texts (dev only)."""

    id: int
    block: Block
    split: Split
    slice: int = 0
    detail: bool = False
    replicate: int = 0  # other candidate seeds on the same draws
    limit_s: float | None = None  # wall and CPU seconds of a call, if less than the task allows


class Node(msgspec.Struct, frozen=True):
    """The machine that scored a block. name: its host name. tier: of its sandbox. toprope: its version. task: digest of
    what the task does there (`tasks/mark.py`)."""

    name: str
    tier: str
    toprope: str
    task: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """The columns of one block with the anchors of its draws: floors, ceilings and groups of shape (n_draws,). node:
    set by executors that reach other machines."""

    id: int
    result: BlockResult
    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]
    node: Node | None = None

    def answers(self, work: Work) -> bool:
        """Whether it answers this work, with finite scores for variants that ended ok and NaN for the others."""
        k, n = len(work.block.rows), len(work.block.draws)
        r = self.result
        anchors = (self.floors, self.ceilings, self.groups)
        if self.id != work.id or r.scores.shape != (k, n) or any(a.shape != (n,) for a in anchors):
            return False
        if len(r.outcomes) != k or not set(r.messages) | set(r.incidents) <= set(range(k)):
            return False
        ok = np.full(k, True)
        if r.outcomes.count(Outcome.OK) < k:  # counted in C: nearly all blocks are ok throughout
            ok[:] = [o is Outcome.OK for o in r.outcomes]
        sane = np.isfinite([r.cpu_s, r.wall_s, *self.floors, *self.ceilings]).all()
        return bool(sane and np.isfinite(r.scores[ok]).all() and np.isnan(r.scores[~ok]).all())


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scorer's sandbox is set up and its draws can be made. mark: digests of a few draws, if asked for."""

    protection: dict[str, Any]
    mark: dict[str, str] = {}


class Progress(msgspec.Struct, frozen=True, tag=True):
    what: str
    done: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker cannot continue. message: one line for the user."""

    message: str
    exit_code: int = 2

    def error(self) -> TopropeError:
        """The message as an error of this process, with its exit code."""
        return NoProtection(self.message) if self.exit_code == 3 else UsageError(self.message)


ToScorer = Load | Work | Reply
FromScorer = Ready | Progress | Question | Done | Failed
