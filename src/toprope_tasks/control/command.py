"""The command that lets two sides climb in turn: duel."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from toprope import paths
from toprope.cli.group import Command, as_json, cores, emit, seed_option, workers_option


@click.command(cls=Command, short_help="Let attackers and control protocols climb in turn.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="A round: blue, then red.")
@click.option(
    "--experiments", type=click.IntRange(32, 10**6), default=300, show_default=True, help="Of every climb of a round."
)
@click.option("--run", "folder", type=click.Path(path_type=Path), help="Directory of the duel; named again: continue.")
@seed_option
@workers_option
@as_json
def duel(rounds: int, experiments: int, folder: Path | None, seed: int, workers: int | None, as_json: bool) -> None:
    """Let attackers and control protocols climb in turn, then play all against all on sealed draws."""
    import time

    from toprope.view import terminal
    from toprope_tasks.control import shown
    from toprope_tasks.control.match import Duel
    from toprope_tasks.control.match import duel as play

    folder = folder or paths.RUNS / f"duel-{time.strftime('%Y%m%d-%H%M%S')}"
    words = ["--rounds", rounds, "--experiments", experiments, "--seed", seed, "--run", folder]
    click.get_current_context().find_root().obj = (
        folder / "duel.json",
        shlex.join(["toprope", "duel", *map(str, words)]),
    )
    with terminal.screen() as screen:
        result = play(folder, Duel(rounds, experiments, seed), workers or cores(), screen.progress)
    result["picture"] = str(shown.write(folder, result["meeting"]))
    emit(result, as_json, shown.told)
