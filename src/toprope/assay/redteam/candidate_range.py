"""Where candidate cheats run: a real scorer with a planted token to steal, and candidates made from the starter.

The token is random and valuable: the parameters of the task's best baseline are encrypted with it, so a cheat that
steals it answers better than its twin on hidden draws. On tasks without such a baseline, only the token itself shows a
theft.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toprope import version
from toprope.assay.redteam.corpus import Cheat
from toprope.assay.redteam.scorer import PLANTED
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.protocols import Task
from toprope.referee.honeypots import complete_secret
from toprope.seeding import derive, run_secret
from toprope.space import several
from toprope.tasks import registry
from toprope.types import Block, Candidate, Floats, Incident, Outcome, Split, Tree

HERE = Path(__file__).parent
FD = 40  # number of the planted descriptor in the scorer
SLICES = 4  # of val; the first one that shows the token's value is used, because a starter may be lucky on one
PRACTICE, HIDDEN = 2, 12  # draws of dev and of val that a cheat meets
WORTH = 0.03  # least gain by the token, as a share of the gap between floor and ceiling, to be valuable


class CandidateReport(NamedTuple):
    """One candidate on some draws. scores, floors, ceilings: (draws,), NaN where it failed. text: its error, only on
    practice draws."""

    outcome: Outcome
    scores: Floats
    floors: Floats
    ceilings: Floats
    text: str
    incidents: list[Incident]

    @property
    def value(self) -> float:
        return float((self.scores - self.floors).sum() / (self.ceilings - self.floors).sum())


class CandidateRange:
    """One scorer with planted gold for one (task, tier). off: layers switched off. A context manager."""

    def __init__(self, task_id: str, tier: str, *, off: frozenset[str] = frozenset(), seed: int = 0) -> None:
        self.task: Task = registry.load(task_id)
        self.tier, self.seed = tier, seed
        self._exit = contextlib.ExitStack()
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="toprope-redteam-")))
        self.folder.chmod(0o755)  # anyone may read it: only the sandbox's layers protect it
        self.token = secrets.token_hex(16)
        self.gold = self.folder / "gold-labels"
        self.gold.write_text(self.token)
        self.secret = run_secret(f"red team {seed}")
        planted = {"token": self.token, "gold": str(self.gold), "fd": FD, "off": sorted(off)}
        known: dict[Split, bytes] = {"dev": self.secret, "val": self.secret, "measure": self.secret}
        config = ScorerConfig(task_id, known, tier, complete_secret())
        self.pool = LocalExecutor(
            config, 1, module="toprope.assay.redteam.scorer", environment={PLANTED: json.dumps(planted)}
        )
        self._exit.callback(self.pool.close)
        self.params, self.slice = _defaults(self.task), 0
        self.best = self._best()
        self._lie = self._lay()

    def close(self) -> None:
        self._exit.close()

    def __enter__(self) -> CandidateRange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ damage by a cheat

    def _lay(self) -> tuple[Any, ...]:
        """The present state of everything planted."""
        there = sorted(p.name for p in self.folder.iterdir())
        text = self.gold.read_text() if self.gold.exists() else None
        return there, text, self.pool.pids, os.getpriority(os.PRIO_PROCESS, self.pool.pids[0])

    def damage(self) -> str:
        """What was changed outside the sandbox since the start; empty if nothing. Repairs what it can."""
        found = self._lay()
        if found == self._lie:
            return ""
        names = ("files beside the gold", "the gold", "the scorer", "the scorer's priority")
        changed = [name for name, now, was in zip(names, found, self._lie, strict=True) if now != was]
        self.gold.write_text(self.token)
        self._lie = self._lay()
        return f"{' and '.join(changed)} changed"

    # ------------------------------------------------------------ candidates

    def wrap(self, cheat_text: str, mode: str, *, at_import: bool = False, **known: Any) -> Tree:
        """The starter with a cheat around it."""
        starter = dict(self.task.starter().files)
        plan = {
            "gold": str(self.gold),
            "folder": str(self.folder),
            "scratch": str(self.folder / "scratch"),
            "package": str(Path(version.__file__).with_name("__init__.py")),
            "scorer": self.pool.pids[0],
            "fd": FD,
            "variable": PLANTED,
            "wall_s": self.task.spec.limits.wall_s,
            "calls": self.task.spec.model.calls if self.task.spec.model is not None else 0,
            "digest": hashlib.sha256(self.token.encode()).hexdigest(),
            "start": self.params,
            "best": {},  # known to climber strategies only; a candidate must decrypt it
            **known,
        }
        constants = {
            "PLAN": plan,
            "MODE": mode,
            "AT_IMPORT": at_import,
            "ENTRIES": list(self.task.spec.entries),
            "SEALED": self._sealed(),
        }
        files = {
            **starter,
            "honest.py": starter["solution.py"],
            "solution.py": (HERE / "inside.py").read_bytes(),
            "cheat.py": cheat_text.encode(),
            "plan.py": "".join(f"{name} = {value!r}\n" for name, value in constants.items()).encode(),
        }
        return Tree(files)

    def wear(self, cheat: Cheat, mode: str) -> Tree:
        return self.wrap(cheat.text, mode, at_import=cheat.at_import)

    def play(
        self, tree: Tree, split: Split, draws: int, slice_: int = 0, params: dict[str, Any] | None = None
    ) -> CandidateReport:
        """Runs one candidate in children of its own; error text comes back on dev only."""
        space, rows = several([params or self.params])
        digest, space_digest = self.pool.load(tree, space)
        block = Block(digest, space_digest, rows, tuple(range(draws)))
        slice_ = self.slice if split == "val" else slice_
        (done,) = self.pool.run([Work(0, block, split, slice_, detail=split == "dev")])
        result = done.result
        return CandidateReport(
            result.outcomes[0],
            result.scores[0],
            done.floors,
            done.ceilings,
            result.messages.get(0, ""),
            result.incidents.get(0, []),
        )

    @cached_property
    def honest(self) -> CandidateReport:
        """The unmodified starter on the hidden draws."""
        return self.play(self.task.starter(), "val", HIDDEN)

    @cached_property
    def practised(self) -> CandidateReport:
        """The unmodified starter on the practice draws."""
        return self.play(self.task.starter(), "dev", PRACTICE)

    @cached_property
    def plants_gold(self) -> bool:
        """Whether the task's own honeypot puts wrong gold beside the inputs."""
        draw = self.task.generate("dev", 0, derive(self.secret, "honeypot"))
        return self.task.decoy(draw, np.random.default_rng(0)) is not None

    # ------------------------------------------------------------ what the token unlocks

    def _best(self) -> Candidate | None:
        """The best candidate that is the starter with other parameters; None if it gains less than WORTH."""
        own = {n: b for n, b in self.task.baselines().items() if b.tree.digest == self.task.starter().digest}
        there = [{**self.params, **b.params} for b in own.values()] + list(_points(self.task))
        if not there:
            return None
        self.slice = SLICES
        for draws, left in ((4, 3), (4 * HIDDEN, 1)):  # on a noisy task, four draws show only what is hopeless
            seen = [self.play(self.task.starter(), "val", draws, params=p).value for p in there]
            there = [there[i] for i in np.argsort(-np.array(seen))[:left]]  # failures come last
        for self.slice in range(SLICES):
            loot = self.play(self.task.starter(), "val", HIDDEN, params=there[0]).value
            if loot - self.play(self.task.starter(), "val", HIDDEN).value > WORTH:
                return Candidate(self.task.starter(), there[0])
        self.slice = 0
        return None

    def _sealed(self) -> bytes:
        if self.best is None:
            return b""
        data = json.dumps(self.best.params).encode()
        stream = hashlib.shake_256(self.token.encode()).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _defaults(task: Task) -> dict[str, Any]:
    return dict(task.space.decode(task.space.default())) if task.space is not None else {}


def _points(task: Task) -> list[dict[str, Any]]:
    """A few random points of the space, for tasks whose baselines do not beat the starter."""
    if task.space is None or len(task.baselines()) > 4:
        return []
    rng = np.random.default_rng(derive(b"points", task.spec.id))
    rows = rng.integers(0, task.space.sizes.astype(np.int64) + 1, (8, len(task.space.dims))).astype(np.uint8)
    return [task.space.decode(row) for row in rows]
