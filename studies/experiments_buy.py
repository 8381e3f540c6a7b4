"""What more experiments buy: climbs of 10^2, 10^3, 10^4 ... experiments by several climbers, and their sealed values.

    python -m studies experiments_buy climb --task w2s/bank-v2 --seed 1 --seed 2 --seed 3
    python -m studies experiments_buy seal --task w2s/bank-v2 --climber evolution --size 10000 --seed 1
    python -m studies experiments_buy show --figure docs/results/what-experiments-buy.svg

Every climb is a run of its own with the task's own gate. All climbs of one seed share a rehearsal secret, so they meet
the same practice draws, and their champions are compared on the same sealed draws, which no climb ever sees: the
differences between climbers and budgets are paired. `climb` adds to the record, and skips what it holds; `seal`
compares champions of the record anew; `show` prints the table and draws the figure.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np

import toprope
from studies.drawing import save
from toprope.assay.reference import columns
from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.figures import Chart, Line, stack
from toprope.protocols import Baseline, Task
from toprope.referee.panel import Column
from toprope.sandbox.selftest import best_tier
from toprope.seeding import run_secret
from toprope.stats.intervals import difference, ratio
from toprope.tasks import registry
from toprope.types import Candidate

RECORD = Path(__file__).resolve().parents[1] / "docs/results/what-experiments-buy.json"
EARLY, FAR = 96, 4.0  # sealed draws that all baselines meet; standard errors by which those that go on may be behind
Row = dict[str, Any]


def main(
    what: Literal["climb", "seal", "show"],
    *,
    task: str = "w2s/bank-v2",
    climber: tuple[str, ...] = ("evolution", "random", "optuna:tpe", "optuna:cmaes"),
    size: tuple[int, ...] = (100, 1000, 10_000),
    seed: tuple[int, ...] = (1, 2, 3),
    draws: int = 384,
    workers: int = os.cpu_count() or 1,
    record: Path = RECORD,
    figure: Path | None = None,
) -> None:
    """size: experiments of a climb. draws: sealed ones that the champions of a seed meet. figure: an SVG of `show`."""
    rows: list[Row] = json.loads(record.read_text()) if record.is_file() else []
    match what:
        case "climb":
            _climb_all(registry.load(registry.find(task)), climber, size, seed, draws, workers, rows, record)
        case "seal":
            held = [r for r in rows if r["task"] == task and r["climber"] in climber and r["experiments"] in size]
            _seal_again(registry.load(registry.find(task)), seed, held, draws, workers, lambda: _write(rows, record))
        case "show":
            print("\n".join(table(rows)))
            save(stack("What more experiments buy", list(charts(rows))), figure)


def _seal_again(
    task: Task, seeds: Sequence[int], rows: list[Row], draws: int, workers: int, done: Callable[[], None]
) -> None:
    """Compares the champions of some rows of the record once more. done: called after every seed, to keep them."""
    for seed in seeds:
        if not (some := [r for r in rows if r["seed"] == seed]):
            raise UsageError(f"the record has no such climb of {task.spec.id} with seed {seed}; make it with `climb`")
        seal(task, seed, some, draws, workers)
        done()


def _climb_all(
    task: Task,
    climbers: Sequence[str],
    sizes: Sequence[int],
    seeds: Sequence[int],
    draws: int,
    workers: int,
    rows: list[Row],
    record: Path,
) -> None:
    """Every climb that the record lacks, and then the sealed values of each seed."""
    held = {(r["task"], r["climber"], r["experiments"], r["seed"]) for r in rows}
    for seed in seeds:
        new = []
        for size in sizes:
            for climber in climbers:
                if (task.spec.id, climber, size, seed) not in held:
                    new.append(climb(task, climber, size, seed, workers))
                    print(
                        json.dumps({k: v for k, v in new[-1].items() if k != "champion"}), file=sys.stderr, flush=True
                    )
        if new:
            seal(task, seed, new, draws, workers)
            rows.extend(new)
            _write(rows, record)


def _write(rows: list[Row], record: Path) -> None:
    record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def secret(task: str, seed: int) -> str:
    """The rehearsal secret of all climbs of a seed."""
    return f"experiments_buy {task} {seed}"


def climb(task: Task, climber: str, size: int, seed: int, workers: int) -> Row:
    """One climb in a vault of its own, as a row of the record."""
    with tempfile.TemporaryDirectory() as folder:
        history = toprope.climb(
            task.spec.id,
            climber=climber,
            seed=seed,
            experiments=size,
            workers=workers,
            rehearsal_secret=secret(task.spec.id, seed),
            run=Path(folder) / "run",
            vault=Path(folder) / "vault",
        )
        said = toprope.summary(history)
        leader, value = _leader(history)
        return {
            "task": task.spec.id,
            "climber": climber,
            "experiments": size,
            "seed": seed,
            "champion": dict(history.champion.params),
            "leader": dict(leader.params),
            "best_dev": value,
            "dev": said["champion"]["dev"],
            "measured": said["champion"]["measured"],
            "attempts": said["attempts"],
            "promotions": said["promotions"],
            "cpu_s": round(said["cost"]["cpu_s"], 1),
            "wall_s": round(said["cost"]["wall_s"], 1),
        }


def _leader(history: toprope.RunHistory) -> tuple[Candidate, float]:
    """The best candidate by dev alone, of those that all draws saw, and its dev value."""
    o = history.opening
    scores, failed = history.dev_scores()
    gap = float((o.ceilings - o.floors).sum())
    whole = {
        e: float((s - o.floors).sum()) / gap for e, s in scores.items() if len(s) == len(o.floors) and e not in failed
    }
    best = max(whole, key=whole.__getitem__)
    return history.candidates()[best], whole[best]


def seal(task: Task, seed: int, rows: list[Row], draws: int, workers: int) -> None:
    """Adds to each row `sealed`, its champion's value on the sealed draws of this seed, `leader_sealed`, that of the
    best candidate by dev alone, and what the champion is better by than the best tuned baseline, `gain`, and than the
    best at its defaults, `gain_default`. Both are the best by their values on the same draws, which favours them. A
    baseline that is behind on the first EARLY draws by far more than chance meets no more."""
    baselines = {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    tuned = list(compared(task))
    default = [name for name, b in task.baselines().items() if not b.tuned]
    champions, leaders = ([Candidate(task.starter(), r[who]) for r in rows] for who in ("champion", "leader"))
    config = ScorerConfig(task.spec.id, {"test": run_secret(secret(task.spec.id, seed))}, best_tier().tier)
    with closing(LocalExecutor(config, workers)) as pool:
        early = dict(zip(baselines, columns(pool, "test", list(baselines.values()), min(EARLY, draws)), strict=True))
        left = {name for names in (tuned, default) for name in _contenders({n: early[n] for n in names})}
        every = {c.id: c for c in [*champions, *leaders, *(baselines[name] for name in left)]}
        found = dict(zip(every, columns(pool, "test", list(every.values()), draws), strict=True))
    scores = {name: found[baselines[name].id] for name in left}
    for r, champion, leader in zip(rows, champions, leaders, strict=True):
        mine, other = found[champion.id], found[leader.id]
        own = ratio(mine.counted, mine.floors, mine.ceilings)
        r["leader_sealed"] = ratio(other.counted, other.floors, other.ceilings).value
        r["sealed"] = {"value": own.value, "lo": own.lo, "hi": own.hi, "draws": draws}
        r["gain"] = _gain(mine, {name: scores[name] for name in tuned if name in left})
        r["gain_default"] = _gain(mine, {name: scores[name] for name in default if name in left})


def _contenders(columns: dict[str, Column]) -> list[str]:
    """The baselines whose paired difference to the best one is not more than FAR standard errors below 0."""
    total = {name: c.counted - c.floors for name, c in columns.items()}
    best = total[max(total, key=lambda name: float(total[name].sum()))]
    behind = {name: best - t for name, t in total.items()}
    return [name for name, d in behind.items() if d.mean() <= FAR * d.std() / math.sqrt(len(d))]


def _gain(mine: Column, baselines: dict[str, Column]) -> dict[str, Any]:
    """What a champion is better by than the best of some baselines: with an interval over draws, and with one that
    resamples what the draws are nested in (families of concepts) first."""
    values = {name: ratio(c.counted, c.floors, c.ceilings).value for name, c in baselines.items()}
    best = max(values, key=values.__getitem__)
    pair = (mine.counted, baselines[best].counted, mine.floors, mine.ceilings)
    gain, nested = difference(*pair), difference(*pair, cells=mine.groups)
    its = {"over": best, "its": values[best], "value": gain.value, "lo": gain.lo, "hi": gain.hi}
    return its | {"nested": [nested.lo, nested.hi]}


def compared(task: Task) -> dict[str, Baseline]:
    """The tuned baselines; of a task without tuned ones, all."""
    every = task.baselines()
    return {name: b for name, b in every.items() if b.tuned} or dict(every)


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: one line for each task, climber and size, means over seeds."""
    yield (
        "| task | climber | experiments | seeds | best dev | sealed | champion: dev | measured | sealed "
        "| over the best tuned | interval above zero | over the best default | interval above zero | CPU s |"
    )
    yield "|---" * 14 + "|"
    for (task, climber, size), group in grouped(rows).items():
        means = (
            _mean(r["best_dev"] for r in group),
            _mean(r["leader_sealed"] for r in group),
            _mean(r["dev"] for r in group),
            _mean(_measured(r) for r in group),
            _mean(r["sealed"]["value"] for r in group),
        )
        yield (
            f"| `{task}` | {climber} | {size:,} | {len(group)} | {' | '.join(f'{m:.3f}' for m in means)} "
            f"| {_gains(group, 'gain')} | {_gains(group, 'gain_default')} | {_mean(r['cpu_s'] for r in group):.0f} |"
        )


def _gains(group: list[Row], which: str) -> str:
    """Two cells: mean and range of a gain, and in how many rows its interval lies above zero. Rows of an early record
    lack the second kind of gain."""
    gains = [r[which] for r in group if which in r]
    if not gains:
        return "|"
    values = [g["value"] for g in gains]
    above = f"{sum(g['lo'] > 0 for g in gains)} of {len(gains)}"
    return f"{_mean(values):+.3f} ({min(values):+.3f} to {max(values):+.3f}) | {above}"


def grouped(rows: list[Row]) -> dict[tuple[str, str, int], list[Row]]:
    """The rows of each (task, climber, size), in this order."""
    found: dict[tuple[str, str, int], list[Row]] = {}
    for r in sorted(rows, key=lambda r: (r["task"], r["climber"], r["experiments"], r["seed"])):
        found.setdefault((r["task"], r["climber"], r["experiments"]), []).append(r)
    return found


def charts(rows: list[Row]) -> Iterator[Chart]:
    """For each task: sealed values of every climber, and what the default climber's dev, measured and sealed say.
    Climbs of one size make no line, so a task that has no others is left out."""
    for task in sorted({r["task"] for r in rows}):
        mine = [r for r in rows if r["task"] == task]
        if len({r["experiments"] for r in mine}) < 2:
            continue
        sealed = [
            line(climber, [r for r in mine if r["climber"] == climber], lambda r: float(r["sealed"]["value"]))
            for climber in sorted({r["climber"] for r in mine})
        ]
        yield _chart(f"{task}: sealed value of the champion, mean and range over seeds", [*sealed, _best_tuned(mine)])
        if not (ours := [r for r in mine if r["climber"] == "evolution"]):
            continue
        yield _chart(
            f"{task}, evolution: what dev promises, and what is there",
            [
                line("best by dev: dev", ours, lambda r: float(r["best_dev"])),
                line("best by dev: sealed", ours, lambda r: float(r["leader_sealed"])),
                line("champion: dev", ours, lambda r: float(r["dev"])),
                line("champion: sealed", ours, lambda r: float(r["sealed"]["value"])),
            ],
        )


def line(label: str, rows: list[Row], value: Callable[[Row], float]) -> Line:
    """Means over seeds by experiments, on a logarithmic axis; the band reaches from the lowest seed to the highest."""
    sizes = sorted({r["experiments"] for r in rows})
    groups = [[value(r) for r in rows if r["experiments"] == n] for n in sizes]
    x = [math.log10(n) for n in sizes]
    return Line(label, x, [_mean(g) for g in groups], [min(g) for g in groups], [max(g) for g in groups])


def _best_tuned(rows: list[Row]) -> Line:
    """The best tuned baseline on the sealed draws, mean over seeds, as a level."""
    level = _mean({r["seed"]: r["gain"]["its"] for r in rows}.values())
    x = [math.log10(n) for n in sorted({r["experiments"] for r in rows})]
    return Line("best tuned baseline", x, [level] * len(x))


def _chart(title: str, lines: Sequence[Line]) -> Chart:
    places = sorted({x for line in lines for x in line.x})
    return Chart(title, "experiments", "value", lines, ticks=[(x, f"{round(10**x):,}") for x in places])


def _measured(row: Row) -> float:
    """The champion's value on fresh data when it was promoted; NaN for the starter, which was not measured."""
    return float("nan") if row["measured"] is None else float(row["measured"]["value"])


def _mean(values: Iterable[float]) -> float:
    """The mean of those that are numbers."""
    found = np.array(list(values), dtype=float)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else float("nan")
