"""Commands for who makes a task: new."""

from __future__ import annotations

from pathlib import Path

import click

from toprope.cli.group import as_json, emit, main


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "task_id", help="family/name-vN [own/DIRECTORY-v1].")
@as_json
def new(directory: Path, task_id: str | None, as_json: bool) -> None:
    """Write a small task of your own into DIRECTORY: it works as it is, and is there to be changed.

    Everywhere a TASK is asked for, the directory can be named: `toprope check DIRECTORY`, `toprope climb DIRECTORY`.
    """
    from toprope.tasks.new import new as write
    from toprope.view import text

    named = write(directory, task_id)
    result = {"task": named, "directory": str(directory)}
    emit(result, as_json, lambda: text.scaffold(named, str(directory)))
