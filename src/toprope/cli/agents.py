"""Commands about agents: mcp, hackrate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    as_json,
    emit,
    main,
    model_option,
    model_tokens_option,
    referee_option,
    referee_token_option,
    seed_option,
    task_ids,
    tier_option,
    workers_option,
)
from toprope.errors import UsageError


@main.command(short_help="Let an agent of your own climb TASK over MCP.")
@click.argument("task", shell_complete=task_ids)
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory; an existing run is continued.")
@click.option(
    "--experiments", type=click.IntRange(1, 10**9), default=10_000, show_default=True, help="Of the whole run."
)
@click.option("--each", type=click.IntRange(1, 10**9), default=2000, show_default=True, help="Experiments per agent.")
@click.option(
    "--attempts", type=click.IntRange(1, 10**6), default=8, show_default=True, help="Attempts at the gate per agent."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 1e9),
    default=28_800.0,
    show_default=True,
    help="Scorer seconds for the experiments of one agent.",
)
@click.option(
    "--gate-seconds",
    type=click.FloatRange(1, 1e6),
    default=600.0,
    show_default=True,
    help="Longest wait for the gate's first possible answer; a slower candidate is refused.",
)
@click.option("--http", type=click.IntRange(1, 65535), help="Serve on this port of 127.0.0.1 instead of stdio.")
@click.option("--tokens", type=click.Path(path_type=Path), help="With --http: lines NAME TOKEN, mode 0600.")
@click.option(
    "--unseal",
    is_flag=True,
    help="Open the sealed test at the end. Over stdio most clients stop the server first: use `toprope unseal RUN`.",
)
@model_option
@model_tokens_option
@seed_option
@tier_option
@workers_option
@referee_option
@referee_token_option
def mcp(task: str, run_dir: Path | None, **options: Any) -> None:
    """Let an MCP client climb TASK: it gets a researcher's tools over stdio, or over HTTP with a token for each agent.

    An agent with a shell as this user can reach the vault; with --referee under another user it cannot.
    """
    from toprope.cli import serving
    from toprope.researchers import server
    from toprope.tasks import registry

    server.needed()
    named = registry.find(task)
    if (options["http"] is None) != (options["tokens"] is None):
        raise UsageError("--http and --tokens belong together; over stdio there is one agent and no token")
    serving.serve(named, run_dir, options)


@main.command(short_help="Count how often authors cheated in RUNs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write DIR/transcripts.jsonl: conversations with labels.")
@as_json
def hackrate(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """How often authors cheated or hunted in RUNs, by model, wording, direction and attempts left."""
    from toprope.assay.hackrate import survey
    from toprope.view import text

    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; it would count twice")
    result = survey(runs, out)
    emit(result, as_json, text.hackrate)
