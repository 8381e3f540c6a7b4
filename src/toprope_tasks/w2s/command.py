"""The command `toprope vault pretrain`: `toprope vault make` for w2s tasks, with a record of the training."""

from __future__ import annotations

import click

from toprope import paths
from toprope.cli.group import Command, as_json, emit


@click.command(cls=Command, short_help="Pretrain private hidden weights for w2s tasks.")
@click.option("--seed", type=int, help="Pretraining seed [random].")
@as_json
def pretrain(seed: int | None, as_json: bool) -> None:
    """Pretrain private hidden weights for w2s tasks (needs the extra [torch]; minutes)."""
    from toprope.view import terminal
    from toprope_tasks.w2s.pretrain import for_vault

    with terminal.screen() as screen:
        result = for_vault(paths.vault(), seed, screen.progress)
    emit(result, as_json, lambda r: f"private hidden weights: {r['path']} (sha256 {r['sha256'][:12]})")
