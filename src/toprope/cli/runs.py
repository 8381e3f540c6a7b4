"""Commands about existing runs: ls, show, tell, serve, clean."""

from __future__ import annotations

from pathlib import Path

import click

from toprope.cli.group import as_json, emit, main

folder = click.argument("folder", metavar="[FOLDER]", type=click.Path(path_type=Path), default="runs")


@main.command(short_help="List the runs of a folder, newest first.")
@folder
@as_json
def ls(folder: Path, as_json: bool) -> None:
    """List the runs in FOLDER [runs], newest first, with task, state and champion."""
    from toprope.run import upkeep
    from toprope.view import text

    emit(upkeep.runs(folder), as_json, text.runs)


@main.command(short_help="Print RUN's summary, or write its champion.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--champion", type=click.Path(path_type=Path), help="Write the champion's files into this new folder.")
@as_json
def show(run: Path, champion: Path | None, as_json: bool) -> None:
    """Print RUN's summary. With --champion DIR, write its champion as a candidate: `toprope submit TASK DIR`."""
    from toprope.cli.group import again
    from toprope.journal.export import summary
    from toprope.journal.reading import read
    from toprope.run import upkeep
    from toprope.view import text

    history = read(run)
    result = summary(history)
    if champion is not None:
        result["files"] = upkeep.write_candidate(history.champion, champion)
        emit(result, as_json, lambda r: text.written(r, str(champion)))
        return
    trusted = {"trust": history.opening.tier == "none"}
    emit(result, as_json, lambda r: text.ending(r, again("unseal", run, trusted)))


@main.command(short_help="Send a note to who climbs RUN.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--to", default="", help="Name of one researcher or agent [all].")
@as_json
def tell(run: Path, text: str, to: str, as_json: bool) -> None:
    """Send a note to the researchers or agents that climb RUN: TEXT, up to 1,000 characters.

    They are told it with their next turn. The ledger keeps it, and every result says that a person helped.
    """
    from toprope.journal.reading import read
    from toprope.run import notes

    sent = notes.send(run, read(run), text, to)
    result = {"run": str(run), "to": sent.to, "text": sent.text, "waiting": len(notes.waiting(run))}
    emit(result, as_json, lambda r: f"a note to {r['to'] or 'all'} waits for their next turn in {r['run']}")


@main.command(short_help="Show the runs of a folder as live pages in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), help="Of 127.0.0.1 [8642, or any free one if that is taken].")
@click.option("--runs", "folder", type=click.Path(path_type=Path), default="runs", help="Folder of the runs [runs].")
def serve(port: int | None, folder: Path) -> None:
    """Show the runs in a folder as pages in a browser, live while they climb (extra [serve]).

    It listens on this machine only, and prints the address with its token on stderr.
    """
    from toprope.cli.group import complain
    from toprope.serve import server

    server.needed()
    server.serve(folder, port, complain)


@main.command(short_help="List what toprope keeps on this machine; remove caches.")
@folder
@click.option("--caches", is_flag=True, help="Remove the caches; they are made again when needed.")
@as_json
def clean(folder: Path, caches: bool, as_json: bool) -> None:
    """List caches, the vault and the runs in FOLDER [runs] with their sizes. Only caches are ever removed."""
    from toprope.run import upkeep
    from toprope.view import text

    listed = upkeep.listed(folder)
    result = {"listed": listed, "freed": upkeep.remove_caches() if caches else 0}
    emit(result, as_json, text.kept)
