"""Commands that judge a task: check, reference, redteam."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import click

from toprope import output
from toprope.cli.group import as_json, builtins, cores, emit, main, proven, task_ids, tier_option, workers_option


@main.command(short_help="Judge whether TASK is fit to be climbed.")
@click.argument("task", shell_complete=task_ids)
@click.option("--probes", type=click.Path(path_type=Path), help="Directory of candidates that must not score.")
@workers_option
@as_json
def check(task: str, probes: Path | None, workers: int | None, as_json: bool) -> None:
    """Judge whether TASK is fit to be climbed; exit 1 if it is not."""
    from toprope import api
    from toprope.view import terminal, text

    with terminal.screen() as screen:
        found = api.check(task, probes=probes, workers=workers, progress=screen.progress)
    result = builtins(found)
    emit(result, as_json, text.check)
    if not result["admitted"]:
        sys.exit(1)


@main.command(short_help="Measure TASK's baselines, or tune them.")
@click.argument("task", shell_complete=task_ids)
@click.option("--draws", type=click.IntRange(2, 10**6), default=200, show_default=True, help="Draws of each split.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=2026, show_default=True, help="Seed of the draws.")
@click.option("--add", multiple=True, metavar="NAME=FILE", help="Add a row NAME with the parameters in FILE.")
@click.option("--against", default="starter", show_default=True, help="The row that the others are compared with.")
@click.option("--tune", type=click.IntRange(1, 10**6), metavar="POINTS", help="Write tuned.json beside TASK instead.")
@click.option("--spread", type=int, metavar="POINTS", help="Measure metric.spread instead.")
@workers_option
@as_json
def reference(
    task: str,
    draws: int,
    seed: int,
    add: tuple[str, ...],
    against: str,
    tune: int | None,
    spread: int | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Measure TASK's starter and baselines on practice and hidden draws, in the sandbox.

    --tune tries POINTS random values of the dimensions that each baseline names as its own, and writes the best by dev
    to tuned.json beside TASK. --spread measures metric.spread on POINTS random points of TASK's space.
    """
    from toprope.assay import reference as measured
    from toprope.tasks import registry
    from toprope.view import terminal, text

    name = registry.find(task)
    more, loaded = measured.added(add), registry.load(name)
    with terminal.screen() as screen, closing(measured.pool_of(loaded, seed, workers or cores())) as pool:
        if spread is not None:
            value = measured.spread(loaded, pool, spread, draws, seed)
            emit({"task": name, "spread": value}, as_json, lambda r: f"{r['spread']:.3f}")
        elif tune is not None:
            emit(measured.tune_all(loaded, pool, tune, seed, screen.progress), as_json, text.tuned)
        else:
            emit(measured.table(loaded, pool, draws, more, against), as_json, text.reference)


@main.command(short_help="Score RUN's methods on another task.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="TASK", help="The task that costs more, with the same entry points.")
@click.option("--top", type=click.IntRange(0, 10**4), default=10, show_default=True, help="Best methods by dev.")
@click.option("--sample", type=click.IntRange(0, 10**4), default=40, show_default=True, help="Further methods.")
@click.option("--draws", type=click.IntRange(4, 10**6), default=104, show_default=True, help="Draws of each task.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=2026, show_default=True, help="Of sample and draws.")
@workers_option
@as_json
def transfer(
    run: Path, to: str, top: int, sample: int, draws: int, seed: int, workers: int | None, as_json: bool
) -> None:
    """Score a sample of RUN's methods on a task one tier up, and say whether they keep their order there.

    The result is kept in RUN/transfer.json, and RUN's report shows it.
    """
    from toprope.assay import transfer as measured
    from toprope.journal import tiers
    from toprope.view import terminal, text

    with terminal.screen() as screen:
        found = measured.transfer(run, to, top, sample, draws, workers or cores(), seed, screen.progress)
    tiers.keep(run, found)
    emit(builtins(found), as_json, text.transfer)


@main.command(short_help="Run every known cheat on TASK.")
@click.argument("task", shell_complete=task_ids)
@click.option("--only", help="Ids or classes, separated by commas.")
@click.option("--corpus", type=click.Path(path_type=Path), help="A folder of cheats of your own, one file each.")
@tier_option
@as_json
def redteam(task: str, only: str | None, corpus: Path | None, tier: str | None, as_json: bool) -> None:
    """Run every known cheat on TASK. Exit code 1 if a cheat pays off or an honest twin is harmed."""
    from toprope.assay.redteam import engine
    from toprope.assay.redteam.corpus import LAYERS
    from toprope.tasks import registry
    from toprope.view import redteam as view

    task = registry.find(task)
    cheats = engine.chosen(only, corpus)
    with view.Watch(len(cheats)) as watch:
        result = engine.run(task, cheats, proven(False, tier).tier, lambda v, *n: watch.heard(v.as_json(), *n))
    output.say(json.dumps(result, allow_nan=False) if as_json else view.shown(result, LAYERS))
    if not result["ok"]:
        sys.exit(1)
