"""Commands that use a task without a run: tasks, submit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    as_json,
    builtins,
    complain,
    emit,
    main,
    model_option,
    model_tokens_option,
    seed_option,
    task_ids,
    tier_option,
    trust,
)


@main.command(short_help="List the tasks that can be climbed.")
@as_json
def tasks(as_json: bool) -> None:
    """List the tasks that can be climbed."""
    import msgspec

    from toprope.tasks import registry
    from toprope.view import text

    for line in registry.unlisted():
        complain(f"warning: {line}")
    rows = [msgspec.structs.asdict(listing) for listing in registry.available()]
    emit(rows, as_json, text.tasks)


@main.command(short_help="Score one candidate on practice data.")
@click.argument("task", shell_complete=task_ids)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--params", type=click.Path(path_type=Path), help="JSON file [DIRECTORY/params.json].")
@model_option
@model_tokens_option
@seed_option
@tier_option
@trust
@as_json
def submit(task: str, directory: Path, params: Path | None, as_json: bool, **options: Any) -> None:
    """Score the candidate in DIRECTORY on TASK's dev draws. Exit 1 if it did not score."""

    from toprope import api
    from toprope.view import terminal, text

    with terminal.screen() as screen:
        found = api.submit(task, directory, params=params, progress=screen.progress, **options)
    result = builtins(found)
    emit(result, as_json, text.submission)
    if result["dev"] is None:
        sys.exit(1)
