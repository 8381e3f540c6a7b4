"""The reference table of a task: its starter and baselines on practice and hidden draws, defaults and tuned.

    python -m toprope.assay.reference TASK [--draws N] [--seed S] [--add NAME=FILE.json]
    python -m toprope.assay.reference TASK --tune 300
    python -m toprope.assay.reference TASK --spread 150

`--tune` gives every baseline that names dimensions of its own (`Baseline.own`) a climb's worth of random points of them
and writes the best by dev to tuned.json beside the task, where `baselines()` finds it. Points are dropped by successive
halving (Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016, arXiv:1502.07943) along the task's own racing schedule.
`--spread` prints what `metric.spread` of task.toml stands for: of the eight best of so many random points of the
task's space, the standard deviation over dev draws of the score difference of two, median over their pairs.
Values are sum(score - floor) / sum(ceiling - floor) with 95 % bootstrap intervals over draws; all run in the sandbox.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from toprope.errors import TopropeError, UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.protocols import Baseline, Task
from toprope.referee.panel import Column, Panel, by_kind
from toprope.sandbox.selftest import best_tier
from toprope.stats.intervals import ratio
from toprope.tasks import registry
from toprope.tasks.spec import TUNED
from toprope.types import Candidate, Floats, Json, Split

SEED = 2026
BEST = 8  # of random points, for the spread
KEEP = 4  # of the points one rung is for, one in so many goes on to the next
SPLITS: tuple[Split, ...] = ("dev", "measure", "test")


def pool_of(task: Task, seed: int, workers: int) -> LocalExecutor:
    """Scorers whose draws come from `seed` alone, hidden splits too: for the operator, and for no run."""
    secret = hashlib.sha256(f"reference {seed}".encode()).digest()
    return LocalExecutor(ScorerConfig(task.spec.id, dict.fromkeys(SPLITS, secret), best_tier().tier), workers)


def columns(pool: LocalExecutor, split: Split, candidates: Sequence[Candidate], draws: int) -> list[Column]:
    """In the order of `candidates`; those of one tree share children."""
    groups = by_kind(candidates)
    found = dict(zip([c.id for g in groups for c in g], Panel(pool, split, 0).grouped(groups, draws), strict=True))
    return [found[c.id] for c in candidates]


def rows(task: Task, added: dict[str, dict[str, Json]]) -> dict[str, Candidate]:
    """name -> candidate: the starter, every baseline, and points of the task's space that are `added`."""
    found = {"starter": point(task, {})}
    found |= {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    return found | {name: point(task, params) for name, params in added.items()}


def point(task: Task, params: dict[str, Json]) -> Candidate:
    """A point of the task's space, snapped to its levels."""
    full = task.space.decode(task.space.encode(params)) if task.space is not None else params
    return Candidate(task.starter(), full)


def table(task: Task, pool: LocalExecutor, draws: int, added: dict[str, dict[str, Json]]) -> Iterator[str]:
    """The lines of a Markdown table: dev, hidden, and the paired gain over the starter on hidden draws."""
    every = rows(task, added)
    yield f"| candidate | dev | {SPLITS[1]} | {SPLITS[2]} | over the starter |"
    yield "|---" * (len(SPLITS) + 2) + "|"
    by_split = {split: columns(pool, split, list(every.values()), draws) for split in SPLITS}
    hidden = by_split[SPLITS[-1]]
    for i, name in enumerate(every):
        cells = [_said(by_split[split][i]) for split in SPLITS]
        gain = (hidden[i].counted - hidden[0].counted) / float((hidden[0].ceilings - hidden[0].floors).mean())
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        yield f"| {name} | {' | '.join(cells)} | {gain.mean():+.3f} ± {error:.3f} |"


def _said(column: Column) -> str:
    e = ratio(column.counted, column.floors, column.ceilings)
    failed = int(np.isnan(column.scores).sum())
    return f"{e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]" + (f", fails on {failed}" if failed else "")


def tune(task: Task, baseline: Baseline, pool: LocalExecutor, budget: int, seed: int) -> dict[str, Json]:
    """The record of tuned.json: the best of `budget` points over the baseline's own dimensions, and its dev value."""
    candidates = points(task, baseline, budget, seed)
    tried = len(candidates)
    for count in task.spec.splits.rungs:
        scored = columns(pool, "dev", candidates, count)
        values = np.array([_value(c) for c in scored])
        order = np.argsort(-values, kind="stable")[: max(1, len(candidates) // KEEP)]
        candidates, best = [candidates[i] for i in order], float(values[order[0]])
    return {"params": candidates[0].params, "dev": round(best, 4), "points": tried}


def _value(column: Column) -> float:
    total: Floats = column.counted - column.floors
    return float(total.sum() / (column.ceilings - column.floors).sum())


def spread(task: Task, pool: LocalExecutor, budget: int, draws: int, seed: int) -> float:
    """In units of a draw's score. Raises UsageError without a space, and for less than two points or draws."""
    if task.space is None:
        raise UsageError(f"task {task.spec.id} has no space to draw points from; measure with two candidates of yours")
    if min(budget, draws) < 2:
        raise UsageError(
            f"--spread {budget} --draws {draws}; expected at least 2 of either: a spread is of differences"
        )
    whole = Baseline(task.starter(), {}, "", own=tuple(d.name for d in task.space.dims))
    scored = columns(pool, "dev", points(task, whole, budget, seed), draws)
    best = sorted(scored, key=_value, reverse=True)[:BEST]
    gaps = [(a.counted - b.counted).std(ddof=1) for i, a in enumerate(best) for b in best[i + 1 :]]
    return float(np.median(gaps))


def points(task: Task, baseline: Baseline, budget: int, seed: int) -> list[Candidate]:
    """The default and distinct random points of the baseline's own dimensions, `budget` at most."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED, help="of the draws")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--add", action="append", default=[], metavar="NAME=FILE", help="a point of the space to add")
    parser.add_argument("--tune", type=int, metavar="POINTS", help="write tuned.json instead")
    parser.add_argument("--spread", type=int, metavar="POINTS", help="print metric.spread instead")
    args = parser.parse_args()
    args.task = registry.find(args.task)
    task = registry.load(args.task)
    pool = pool_of(task, args.seed, args.workers)
    try:
        if args.spread is not None:
            print(f"{spread(task, pool, args.spread, args.draws, args.seed):.3f}")
            return
        if args.tune is None:
            added = {name: json.loads(Path(path).read_text()) for name, path in (a.split("=", 1) for a in args.add)}
            for line in table(task, pool, args.draws, added):
                print(line, flush=True)
            return
        module = sys.modules[type(task).__module__].__file__
        assert module is not None
        path = Path(module).parent / TUNED
        record = json.loads(path.read_text()) if path.is_file() else {}
        mine = record.setdefault(task.spec.id, {})
        for name, baseline in task.baselines().items():
            if baseline.own and not baseline.tuned:
                mine[name] = tune(task, baseline, pool, args.tune, args.seed)
                print(f"{name}: {mine[name]}", file=sys.stderr, flush=True)
                path.write_text(json.dumps(record, indent=1) + "\n")
    finally:
        pool.close()


if __name__ == "__main__":
    try:
        main()
    except TopropeError as e:
        sys.exit(f"reference: {e}")
