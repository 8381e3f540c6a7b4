"""The command that lets two sides climb in turn: duel."""

from __future__ import annotations

from pathlib import Path

import click

from toprope.cli.group import as_json, cores, emit, main, seed_option, workers_option


@main.command(short_help="Let attackers and control protocols climb in turn.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="A round: blue, then red.")
@click.option(
    "--experiments", type=click.IntRange(32, 10**6), default=300, show_default=True, help="Of every climb of a round."
)
@click.option("--run", "folder", type=click.Path(path_type=Path), help="Directory of the duel; named again: continue.")
@seed_option
@workers_option
@as_json
def duel(rounds: int, experiments: int, folder: Path | None, seed: int, workers: int | None, as_json: bool) -> None:
    """Let attackers and control protocols climb in turn, then meet on sealed draws."""
    import time

    from toprope.assay.duel import Duel
    from toprope.assay.duel import duel as play
    from toprope.view import duel as view
    from toprope.view import terminal

    folder = folder or Path("runs") / f"duel-{time.strftime('%Y%m%d-%H%M%S')}"
    with terminal.screen() as screen:
        result = play(folder, Duel(rounds, experiments, seed), workers or cores(), screen.progress)
    result["picture"] = str(view.write(folder, result["meeting"]))
    emit(result, as_json, view.told)
