"""`toprope transfer RUN --to TASK`: do the methods that a run found keep their order on a task that costs more?

A cheap score is worth what it says about the next tier. A stratified sample of a run's methods (not only the best) is
scored on fresh practice draws of the run's own task and of the other task, in the sandbox. Fresh draws, because the
scores of the run selected the methods; practice draws, because hidden ones belong to the gate. Both tasks must call the
same entry points.

The interval of a rank correlation resamples kinds of draws and draws within them, on both sides; the methods are fixed.
The pressure curve shows the best method by dev after 1, 10, 100 ... experiments, on both tasks: where the other task's
value stops rising while the run's own goes on, more search is paid for in what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.assay.reference import columns, pool_of
from toprope.errors import UsageError
from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.journal.tiers import Pressure, Rank, Transfer
from toprope.protocols import Progress, Task
from toprope.referee.panel import Column
from toprope.stats.intervals import Estimate, nested_weights, ranks, ratio
from toprope.tasks import registry
from toprope.types import Candidate, Floats

RESAMPLES = 1000
FEWEST = 16  # methods: then a quarter of them can be ranked
QUARTILE = 4


class Method(msgspec.Struct, frozen=True):
    """A method of the sample. kind: `starter`, `baseline`, `incumbent` (it was the best by dev for a while),
    `promoted`, `top` (of the last dev values), or `sampled`. experiment: -1 for a baseline. draws: dev draws it saw."""

    name: str
    kind: str
    experiment: int
    draws: int
    candidate: Candidate


def transfer(
    run: Path, to: str, top: int, sample: int, draws: int, workers: int, seed: int, progress: Progress
) -> Transfer:
    """Score the sample on both tasks and compare. top: best methods by dev. sample: further methods, spread over how
    far they came in the race. draws: of each task. Raises UsageError if the tasks share no entry point, or if the run
    has fewer than FEWEST methods."""
    history = read(run)
    source, target = registry.load(history.opening.spec.task), registry.load(registry.find(to))
    if not set(source.spec.entries) & set(target.spec.entries):
        raise UsageError(
            f"{target.spec.id} calls {', '.join(target.spec.entries)} and {source.spec.id} calls "
            f"{', '.join(source.spec.entries)}; expected a task with the same entry points"
        )
    chosen = list(methods(history, source, top, sample, np.random.default_rng(seed)))
    if len(chosen) < FEWEST:
        raise UsageError(f"run {run} has {len(chosen)} methods; expected at least {FEWEST} to compare their ranks")
    both = []
    for i, task in enumerate((source, target)):
        progress(f"scoring {len(chosen)} methods on {task.spec.id}", i / 2)
        with closing(pool_of(task, seed, workers)) as pool:
            both.append(columns(pool, "dev", [m.candidate for m in chosen], draws))
    progress("comparing", 1.0)
    return compared([source.spec.id, target.spec.id], chosen, both[0], both[1], best_so_far(history))


def methods(history: RunHistory, task: Task, top: int, sample: int, rng: np.random.Generator) -> Iterator[Method]:
    """The sample, each candidate once: starter, baselines at their defaults, incumbents, promoted and top ones, then
    as many at random of each rung that a candidate can reach."""
    candidates = history.candidates()
    scores, failed = history.dev_scores()
    fine = {e: len(s) for e, s in scores.items() if e not in failed and e in candidates}
    dev = {e: float(scores[e].sum()) for e, n in fine.items() if n == len(history.opening.floors)}
    promoted = {a.candidate for a in history.answers if a.promoted}
    groups: list[tuple[str, Sequence[int]]] = [
        ("starter", [0]),
        ("incumbent", sorted(set(best_so_far(history).values()))),
        ("promoted", [a.experiment for a in history.asked if a.candidate.id in promoted]),
        ("top", sorted(dev, key=lambda e: -dev[e])[:top]),
    ]
    rungs = sorted(set(fine.values()))
    for i, rung in enumerate(rungs):
        reached = [e for e, n in fine.items() if n == rung]
        share = sample // len(rungs) + (i < sample % len(rungs))
        groups.append(("sampled", rng.choice(reached, min(share, len(reached)), replace=False).tolist()))
    seen: set[str] = set()
    for name, baseline in task.baselines().items():
        candidate = Candidate(baseline.tree, baseline.params)
        if not baseline.tuned and candidate.id not in seen:
            seen.add(candidate.id)
            yield Method(name, "baseline", -1, 0, candidate)
    for kind, experiments in groups:
        for e in experiments:
            if e in fine and candidates[e].id not in seen:
                seen.add(candidates[e].id)
                yield Method(f"experiment {e}", kind, e, fine[e], candidates[e])


def best_so_far(history: RunHistory) -> dict[int, int]:
    """Experiments made -> the experiment that was the best by dev then, at the last barrier of every tenth of a
    decade."""
    found = {}
    for g in history.generations:
        if g.best_experiment is not None:
            found[round(10 * np.log10(max(g.experiments, 1)))] = (g.experiments, g.best_experiment)
    return dict(found.values())


def compared(
    tiers: list[str], chosen: list[Method], x: list[Column], y: list[Column], best: dict[int, int]
) -> Transfer:
    """The comparison from both tasks' columns. Methods with the same scores on every draw count once: settings that a
    method does not use make exact doubles, most of them of the best."""
    first = doubles(x, y)
    alone = sorted(set(first))
    place = {i: n for n, i in enumerate(alone)}
    at = {m.experiment: place[i] for m, i in zip(chosen, first, strict=True) if m.experiment >= 0}
    chosen, x, y = [chosen[i] for i in alone], [x[i] for i in alone], [y[i] for i in alone]
    values = [[_value(c) for c in side] for side in (x, y)]
    pressure = [(experiments, at[e]) for experiments, e in sorted(best.items()) if e in at]
    return Transfer(
        tiers,
        len(x[0].scores),
        rank_correlation(x, y, np.arange(len(chosen))),
        rank_correlation(x, y, best_quarter(x)),
        _stops(pressure, y),
        [Pressure(n, chosen[i].name, values[0][i], values[1][i]) for n, i in pressure],
        [
            {"name": m.name, "kind": m.kind, "experiment": m.experiment, "draws": m.draws, "candidate": m.candidate.id}
            | {"params": m.candidate.params, "source": values[0][i], "target": values[1][i]}
            for i, m in enumerate(chosen)
        ],
    )


def best_quarter(x: list[Column]) -> NDArray[np.int64]:
    """Numbers of the best quarter of methods on the first task."""
    order = np.argsort([-_value(c).value for c in x], kind="stable")
    return np.sort(order[: len(order) // QUARTILE])


def doubles(x: list[Column], y: list[Column]) -> list[int]:
    """For each method the number of the first one with the same scores on both tasks."""
    seen: dict[bytes, int] = {}
    keys = (np.round(np.concatenate([a.counted, b.counted]), 6).tobytes() for a, b in zip(x, y, strict=True))
    return [seen.setdefault(key, i) for i, key in enumerate(keys)]


def _value(c: Column) -> Estimate:
    return ratio(c.counted, c.floors, c.ceilings, cells=c.groups)


def rank_correlation(x: list[Column], y: list[Column], which: Any) -> Rank:
    """Spearman of the values of the methods `which`. Resampling adds noise, so the interval lies low."""
    resampled = [_resampled([side[i] for i in which]) for side in (x, y)]
    point = [np.array([_value(side[i]).value for i in which]) for side in (x, y)]
    values = [_correlation(a, b) for a, b in zip(*resampled, strict=True)]
    lo, hi = np.nanquantile(values, [0.025, 0.975])
    return Rank(round(_correlation(*point), 4), round(float(lo), 4), round(float(hi), 4), len(which))


def _resampled(side: list[Column]) -> Floats:
    """(resamples, methods) values under nested resampling of the task's draws."""
    weights = nested_weights(side[0].groups[:, None], RESAMPLES, np.random.default_rng(0))
    gains = np.array([c.counted - c.floors for c in side]).T
    return np.asarray((weights @ gains) / (weights @ (side[0].ceilings - side[0].floors))[:, None])


def _correlation(a: Floats, b: Floats) -> float:
    x, y = ranks(a), ranks(b)
    return float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) and np.ptp(y) else float("nan")


def _stops(pressure: list[tuple[int, int]], y: list[Column]) -> int:
    """The last number of experiments at which the other task's value was above the best before it, paired."""
    stop, best = 0, None
    for experiments, i in pressure:
        if best is None:
            stop, best = experiments, i
            continue
        c = y[i]
        gain = ratio(c.counted - y[best].counted, 0.0, c.ceilings - c.floors, cells=c.groups)
        if gain.lo > 0:
            stop, best = experiments, i
    return stop
