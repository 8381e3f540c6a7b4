"""The command `toprope vault dialect`: `toprope vault make` for mirror tasks."""

from __future__ import annotations

import click

from toprope import paths
from toprope.cli.group import Command, as_json, emit


@click.command(cls=Command, short_help="Draw a private dialect for mirror tasks.")
@as_json
def dialect(as_json: bool) -> None:
    """Draw a private dialect for mirror tasks: practice and hidden draws of this vault then speak it."""
    from toprope_tasks.mirror import instance

    emit(instance.make(paths.vault()), as_json, lambda r: f"{r['hidden']}: {r['path']}")
