"""`toprope reference TASK`: measures starter and baselines on practice and hidden draws, default and tuned.

`--tune` tries random points of the dimensions that a baseline names as its own (`Baseline.own`), and writes the best by
dev to tuned.json beside the task, where `baselines()` finds it. Points are dropped by successive halving (Karnin, Koren
& Somekh 2013; Jamieson & Talwalkar 2016, arXiv:1502.07943) along the task's own racing schedule. `--spread` measures
`metric.spread` of task.toml: among the eight best of random points of the task's space, the standard deviation over dev
draws of the score difference of two, as the median over all pairs.
Values are sum(score - floor) / sum(ceiling - floor) with 95 % bootstrap intervals over draws; all run in the sandbox.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.protocols import Baseline, Progress, Task
from toprope.referee.panel import Column, HiddenPanel, by_kind
from toprope.sandbox.selftest import best_tier
from toprope.stats.intervals import ratio
from toprope.tasks.spec import TUNED
from toprope.types import Candidate, Floats, Json, Split

SEED = 2026
BEST = 8  # of random points, for the spread
KEEP = 4  # one in four points goes on to the next rung, and as many meet the last one
FEWEST = 6  # draws on which points are compared first; fewer leave it to chance which one is called tuned
SPLITS: tuple[Split, ...] = ("dev", "measure", "test")


def pool_of(task: Task, seed: int, workers: int) -> LocalExecutor:
    """Scorers whose draws, even of hidden splits, depend only on `seed`: for the operator, and never for a run."""
    secret = hashlib.sha256(f"reference {seed}".encode()).digest()
    return LocalExecutor(ScorerConfig(task.spec.id, dict.fromkeys(SPLITS, secret), best_tier().tier), workers)


def columns(pool: LocalExecutor, split: Split, candidates: Sequence[Candidate], draws: int) -> list[Column]:
    """The columns of the candidates, in their order; candidates with the same tree share children."""
    groups = by_kind(candidates)
    found = dict(
        zip([c.id for g in groups for c in g], HiddenPanel(pool, split, 0).grouped(groups, draws), strict=True)
    )
    return [found[c.id] for c in candidates]


def rows(task: Task, more: dict[str, dict[str, Json]]) -> dict[str, Candidate]:
    """name -> candidate: the starter, every baseline, and the points of the task's space in `more`."""
    found = {"starter": point(task, {})}
    found |= {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    return found | {name: point(task, params) for name, params in more.items()}


def added(pairs: Iterable[str]) -> dict[str, dict[str, Json]]:
    """name -> parameters, from NAME=FILE pairs. Raises UsageError for another form, or a file without a JSON object."""
    found = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        try:
            found[name] = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Json])
        except (OSError, msgspec.DecodeError) as e:
            raise UsageError(f"--add {pair}: {e}; expected NAME=FILE of a JSON object of parameters") from None
    return found


def point(task: Task, params: dict[str, Json]) -> Candidate:
    """The starter with these parameters, snapped to the levels of the task's space."""
    full = task.space.decode(task.space.encode(params)) if task.space is not None else params
    return Candidate(task.starter(), full)


def table(
    task: Task, pool: LocalExecutor, draws: int, more: dict[str, dict[str, Json]], against: str = "starter"
) -> dict[str, Any]:
    """{"task", "draws", "against", "rows": [{"candidate", split: {"value", "lo", "hi", "failed"}, "gain": {"value",
    "se"}}]}. gain: on test draws over the row `against`, paired. Raises UsageError if the row `against` is missing."""
    every = rows(task, more)
    if against not in every:
        raise UsageError(f"--against {against!r} is not in the table; expected one of {', '.join(every)}")
    found = {split: columns(pool, split, list(every.values()), draws) for split in SPLITS}
    base = found["test"][list(every).index(against)]
    return {
        "task": task.spec.id,
        "draws": draws,
        "against": against,
        "rows": [
            {"candidate": name}
            | {split: _value_on(column[i]) for split, column in found.items()}
            | {"gain": _gain(found["test"][i], base)}
            for i, name in enumerate(every)
        ],
    }


def _value_on(column: Column) -> dict[str, Any]:
    e = ratio(column.counted, column.floors, column.ceilings)
    return {"value": e.value, "lo": e.lo, "hi": e.hi, "failed": int(np.isnan(column.scores).sum())}


def _gain(column: Column, base: Column) -> dict[str, float]:
    gain = (column.counted - base.counted) / float((base.ceilings - base.floors).mean())
    return {"value": float(gain.mean()), "se": float(gain.std(ddof=1) / np.sqrt(len(gain)))}


def tune_all(task: Task, pool: LocalExecutor, budget: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Tunes every baseline with dimensions of its own, writes tuned.json beside the task, and returns {"task", "path",
    "tuned": {name: its record}}. Raises UsageError without such a baseline."""
    module = sys.modules[type(task).__module__].__file__
    assert module is not None
    path = Path(module).parent / TUNED
    record = json.loads(path.read_text()) if path.is_file() else {}
    mine = record.setdefault(task.spec.id, {})
    own = {name: b for name, b in task.baselines().items() if b.own and not b.tuned}
    if not own:
        raise UsageError(f"no baseline of {task.spec.id} has dimensions to tune; name them in `Baseline.own`")
    for i, (name, baseline) in enumerate(own.items()):
        progress(f"tuning {name}", i / len(own))
        mine[name] = tune(task, baseline, pool, budget, seed)
        path.write_text(json.dumps(record, indent=1) + "\n")
    return {"task": task.spec.id, "path": str(path), "tuned": {name: mine[name] for name in own}}


def tune(task: Task, baseline: Baseline, pool: LocalExecutor, budget: int, seed: int) -> dict[str, Json]:
    """The record for tuned.json: the best of `budget` points over the baseline's own dimensions, and its dev value. The
    default is one of those that meet all draws, so that tuning makes no baseline worse on them."""
    candidates = points(task, baseline, budget, seed)
    default, tried = candidates[0], len(candidates)
    *first, last = task.spec.splits.rungs
    for count in [n for n in first if n >= FEWEST]:
        values = np.array([_value(c) for c in columns(pool, "dev", candidates, count)])
        order = np.argsort(-values, kind="stable")[: max(KEEP, len(candidates) // KEEP)]
        candidates = [candidates[i] for i in order]
    candidates = [default, *(c for c in candidates if c != default)]
    values = np.array([_value(c) for c in columns(pool, "dev", candidates, last)])
    best = int(np.argmax(values))
    return {"params": candidates[best].params, "dev": round(float(values[best]), 4), "points": tried}


def _value(column: Column) -> float:
    total: Floats = column.counted - column.floors
    return float(total.sum() / (column.ceilings - column.floors).sum())


def spread(task: Task, pool: LocalExecutor, budget: int, draws: int, seed: int) -> float:
    """The spread in units of a draw's score. Raises UsageError without a space, and for less than two points or
    draws."""
    if task.space is None:
        raise UsageError(
            f"task {task.spec.id} has no space to draw points from; measure it with two candidates of yours"
        )
    if min(budget, draws) < 2:
        raise UsageError(
            f"--spread {budget} --draws {draws}; expected at least 2 of each, because a spread is of differences"
        )
    whole = Baseline(task.starter(), {}, "", own=tuple(d.name for d in task.space.dims))
    scored = columns(pool, "dev", points(task, whole, budget, seed), draws)
    best = sorted(scored, key=_value, reverse=True)[:BEST]
    gaps = [(a.counted - b.counted).std(ddof=1) for i, a in enumerate(best) for b in best[i + 1 :]]
    return float(np.median(gaps))


def points(task: Task, baseline: Baseline, budget: int, seed: int) -> list[Candidate]:
    """The default and distinct random points of the baseline's own dimensions, at most `budget` in all. Raises
    UsageError for a dimension that the task's space does not have."""
    assert task.space is not None
    levels = {d.name: d.levels for d in task.space.dims}
    if unknown := set(baseline.own) - set(levels):
        raise UsageError(f"baseline may tune {sorted(unknown)}, which are not in the task's space: {', '.join(levels)}")
    rng = np.random.default_rng(seed)
    found = {json.dumps(baseline.params, sort_keys=True): baseline.params}
    for _ in range(10 * budget):
        if len(found) >= budget:
            break
        chosen = {name: levels[name][rng.integers(len(levels[name]))] for name in baseline.own}
        params = {**baseline.params, **chosen}
        found.setdefault(json.dumps(params, sort_keys=True), params)
    return [Candidate(baseline.tree, params) for params in found.values()]
