"""The starter, the baselines and the user's probes on the same hidden draws, in the real scorer and sandbox."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from toprope.assay.fit.answers import FLOOR
from toprope.assay.fit.differences import differences
from toprope.assay.fit.row import Check
from toprope.assay.reference import spread
from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.protocols import Task
from toprope.referee.panel import Column, HiddenPanel, by_kind
from toprope.run.submit import read_candidate
from toprope.space import several
from toprope.stats.betting import minimum_detectable
from toprope.stats.intervals import Estimate, difference, ratio
from toprope.stats.spending import attempt_level
from toprope.types import Block, Candidate, Outcome, Split

DRAWS, TOLD = 48, 4  # hidden draws per candidate; practice draws on which a failure is explained
POINTS, SEEN = 24, 24  # points of the space, and practice draws of each, to measure the spread
SPLITS: tuple[Split, ...] = ("measure", "dev")


def probes_in(folder: Path, task: Task) -> dict[str, Candidate]:
    """name -> candidate, from the folders in `folder`. Raises UsageError without any."""
    found = {p.name: read_candidate(p, None, task.spec) for p in sorted(folder.glob("*")) if p.is_dir()}
    if not found:
        raise UsageError(f"probes {folder} hold no candidate; expected one directory with a solution.py for each")
    return found


def candidates(
    task: Task,
    secret: bytes,
    tier: str,
    workers: int,
    probes: Mapping[str, Candidate],
    progress: Callable[[float], None],
) -> Iterator[Check]:
    """progress: told the share of the blocks on hidden draws that are done."""
    pool = LocalExecutor(ScorerConfig(task.spec.id, dict.fromkeys(SPLITS, secret), tier, secret), workers)
    params = task.space.decode(task.space.default()) if task.space is not None else {}
    starter = Candidate(task.starter(), params)
    known = {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    try:
        panel = HiddenPanel(pool, "measure", 0)
        groups = [[starter], *by_kind(list(known.values())), *([c] for c in probes.values())]
        columns = panel.grouped(groups, DRAWS, progress)
        by_id = dict(zip([c.id for g in groups for c in g], columns, strict=True))
        failed = {n: c for n, c in {"starter": starter, **known}.items() if np.isnan(by_id[c.id].scores).any()}
        yield _running({name: _why(pool, c, panel.failures[c.id]) for name, c in failed.items()})
        measured = spread(task, pool, POINTS, SEEN, 0) if task.space is not None and not failed else None
    finally:
        pool.close()
    own = by_id[starter.id]
    if known:
        yield from _gains(task, own, {name: by_id[c.id] for name, c in known.items()}, measured)
    else:
        yield Check("something to find", False, 0, 0, "the task has no baseline; name one in `points` or `sources`")
    seen = sum(len(i) for i in panel.incidents.values())
    yield Check("quiet honeypots", seen == 0, seen, 0, "incidents that the task's own baselines set off")
    limit = max(FLOOR, _estimate(own).value)
    for name, probe in probes.items():
        e = _estimate(by_id[probe.id])
        yield Check(f"probe {name}", e.lo <= limit, round(e.value, 3), round(limit, 3),
                    f"{_said(e)}; a probe must not be above the starter, nor above {FLOOR}")  # fmt: skip


def _running(failed: Mapping[str, str]) -> Check:
    why = "; ".join(f"{name}: {text}" for name, text in failed.items())
    return Check(
        "baselines run", not failed, len(failed), 0, why or "the starter and every baseline score on every draw"
    )


def _why(pool: LocalExecutor, candidate: Candidate, outcome: Outcome) -> str:
    """How it fails, with the message from a practice draw, because hidden draws give no messages."""
    space, rows = several([candidate.params])
    tree, digest = pool.load(candidate.tree, space)
    (done,) = pool.run([Work(0, Block(tree, digest, rows, tuple(range(TOLD))), "dev", detail=True)])
    if done.result.outcomes[0] is Outcome.OK:
        return f"{outcome} on hidden draws, but no failure on {TOLD} practice draws"
    return f"{done.result.outcomes[0]}, {' '.join(done.result.messages.get(0, 'without a message').split())}"


def _gains(task: Task, own: Column, known: Mapping[str, Column], measured: float | None) -> Iterator[Check]:
    """The gain of the best baseline, the headroom above it, and the gain that the gate can resolve."""
    values = {name: _estimate(column) for name, column in known.items()}
    best = max(values, key=lambda n: values[n].value)
    top = known[best]
    gain = difference(top.counted, own.counted, own.floors, own.ceilings)
    yield Check("something to find", gain.lo > 0, round(gain.lo, 3), 0, f"{best} over the starter: {_said(gain)}")
    room = values[best]
    yield Check("headroom", room.hi < 1, round(room.hi, 3), 1, f"{best} is at {_said(room)}; 1 is the ceiling")
    yield from differences(task, own, known, measured)
    yield _resolved(task, own, gain)


def _estimate(column: Column) -> Estimate:
    return ratio(column.counted, column.floors, column.ceilings)


def _said(e: Estimate) -> str:
    return f"{e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]"


def _resolved(task: Task, own: Column, gain: Estimate) -> Check:
    alpha = math.exp(-attempt_level(1, 1, 1000))
    metric = task.spec.metric
    least = minimum_detectable(task.spec.splits.val_slice, metric.spread, metric.clip, alpha)
    least /= float((own.ceilings - own.floors).mean())
    why = f"gain resolved at the 1,000th attempt, in {metric.unit}; at most what the best baseline gains"
    return Check("resolution", least <= gain.value, round(least, 3), round(gain.value, 3), why)
