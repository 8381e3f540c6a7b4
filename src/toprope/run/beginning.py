"""What a run begins with: a directory with its first entry, a climber, the anchors of its dev draws."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from toprope import climbers
from toprope.errors import UsageError
from toprope.executors import base
from toprope.executors.base import Executor
from toprope.executors.messages import Work
from toprope.journal.ledger import SqliteLedger
from toprope.journal.spec import Climbing, Imported, Replay, RunSpec, Search
from toprope.protocols import Climber, Task
from toprope.space import Conditions, Space
from toprope.types import Anchors, Block, Codes, Outcome, Tree

LEAST_GAP = 1e-9  # mean of ceiling - floor over dev, in the unit of the score


def new_ledger(directory: Path, spec: RunSpec) -> SqliteLedger:
    """A ledger with its first entry. It is made under a temporary name, so that a run killed at any moment has either
    no ledger or one that can be resumed. A ledger without entries counts as new. Raises UsageError if the directory
    cannot be made or already holds a run."""
    path, making = directory / "ledger.db", directory / "ledger.db.new"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(
            f"cannot make run directory {directory}: {e.strerror}; name one that you can write with --run"
        ) from e
    if not path.exists():
        for left in directory.glob(f"{making.name}*"):
            left.unlink(missing_ok=True)
        with contextlib.closing(SqliteLedger(making, create=True)) as ledger:
            ledger.append(spec)
        try:
            os.link(making, path)  # unlike a rename, it fails if the file exists
            making.unlink()
            return SqliteLedger(path)
        except FileExistsError:  # another climb was faster
            making.unlink()
        except OSError:  # a file system without links
            making.rename(path)
            return SqliteLedger(path)
    ledger = SqliteLedger(path, create=True)
    if next(ledger.read(), None) is not None:
        ledger.close()
        raise UsageError(
            f"{directory} holds a run already; continue it with `toprope resume {directory}` or name another"
        )
    ledger.append(spec)
    return ledger


def space_of(task: Task) -> Space:
    if task.space is None:
        raise UsageError(f"task {task.spec.id} has no search space; climb it with --climber llm or `toprope mcp`")
    try:
        Conditions(task.space)
    except UsageError as e:
        raise UsageError(f"task {task.spec.id}: {e}") from None
    return task.space


def climber_for(who: Climbing, task: Task, seed: int) -> Climber:
    """The climber of a run. A replay reads its file here. A search may begin with the published baselines."""
    if isinstance(who, Replay):
        return climbers.make("replay", space_of(task), seed, path=who.file)
    if isinstance(who, Imported):
        return climbers.imported(who.target, space_of(task), seed, _published(task))
    assert isinstance(who, Search), "authors do not propose rows"
    return climbers.make(who.name, space_of(task), seed, _published(task))


def _published(task: Task) -> Codes:
    """(m, p) rows of the task's untuned baselines that are points of its space: tuning is left to the climb."""
    space, rows = space_of(task), []
    for baseline in task.baselines().values():
        if not baseline.tuned and baseline.tree.digest == task.starter().digest:
            with contextlib.suppress(UsageError):  # one with a parameter the space does not have
                rows.append(space.encode(baseline.params))
    return np.array(rows, dtype=np.uint8).reshape(-1, len(space.dims))


def anchors_of(task: str, executor: Executor, tree: Tree, space: Space, draws: int) -> Anchors:
    """Floor and ceiling of every dev draw, obtained by scoring the starter once. Raises UsageError if the starter fails
    or the gap is too small."""
    tree_digest, space_digest = executor.load(tree, space)
    cuts = [tuple(range(at, min(at + 8, draws))) for at in range(0, draws, 8)]
    rows = space.default()[None, :]
    floors, ceilings = np.empty(draws), np.empty(draws)
    works = [Work(i, Block(tree_digest, space_digest, rows, cut), "dev", detail=True) for i, cut in enumerate(cuts)]
    for done in base.run(executor, works):
        if (outcome := done.result.outcomes[0]) is not Outcome.OK:
            raise UsageError(
                f"the starter of task {task} fails on dev, {outcome}: {done.result.messages.get(0, 'no message')}; "
                f"every climb begins with it: repair it, and try it with `toprope submit {task} DIR`"
            )
        floors[list(cuts[done.id])], ceilings[list(cuts[done.id])] = done.floors, done.ceilings
    gap = float((ceilings - floors).mean())
    if not gap >= LEAST_GAP:
        raise UsageError(
            f"task {task}: its ceilings lie {gap:g} above its floors on average over dev, expected {LEAST_GAP:g} or "
            "more; without a gap a score has no normalised value: repair floor and ceiling in generate()"
        )
    return Anchors(floors, ceilings)
