"""Commands that judge a task: check, redteam."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from toprope import output
from toprope.cli.group import as_json, cores, emit, main, proven, tier_option, workers_option


@main.command(short_help="Judge whether TASK is fit to be climbed.")
@click.argument("task")
@click.option("--probes", type=click.Path(path_type=Path), help="Directory of candidates that must not score.")
@workers_option
@as_json
def check(task: str, probes: Path | None, workers: int | None, as_json: bool) -> None:
    """Judge whether TASK is fit to be climbed; exit 1 if it is not."""
    from toprope.assay.fit.check import check as judge
    from toprope.tasks import registry
    from toprope.view import terminal, text

    task = registry.find(task)
    with terminal.screen() as screen:
        result = judge(task, probes, proven(False, None).tier, workers or cores(), screen.progress)
    emit(result, as_json, text.check)
    if not result["admitted"]:
        sys.exit(1)


@main.command(short_help="Let every known cheat loose on TASK.")
@click.argument("task")
@click.option("--only", help="Ids or classes, separated by commas.")
@click.option("--corpus", type=click.Path(path_type=Path), help="A folder of cheats of your own, one file each.")
@tier_option
@as_json
def redteam(task: str, only: str | None, corpus: Path | None, tier: str | None, as_json: bool) -> None:
    """Let every known cheat loose on TASK. Exit code 1 if one pays or an honest twin is harmed."""
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
