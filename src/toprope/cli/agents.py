"""Commands about agents: mcp, hackrate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    as_json,
    cores,
    emit,
    main,
    model_option,
    model_tokens_option,
    proven,
    referee_option,
    referee_token_option,
    seed_option,
    tier_option,
    workers_option,
)
from toprope.errors import UsageError


@main.command(short_help="Let an agent of your own climb TASK over MCP.")
@click.argument("task")
@click.option(
    "--run", "run_dir", type=click.Path(path_type=Path), help="Run directory; goes on with one that is there."
)
@click.option("--experiments", type=click.IntRange(1, 10**9), default=10_000, show_default=True, help="Of the run.")
@click.option("--each", type=click.IntRange(1, 10**9), default=2000, show_default=True, help="Experiments of an agent.")
@click.option(
    "--attempts", type=click.IntRange(1, 10**6), default=8, show_default=True, help="At the gate, of an agent."
)
@click.option("--http", type=click.IntRange(1, 65535), help="Serve on this port of 127.0.0.1 instead of stdio.")
@click.option("--tokens", type=click.Path(path_type=Path), help="With --http: lines NAME TOKEN, mode 0600.")
@click.option("--unseal", is_flag=True, help="Open the sealed test when the client has hung up.")
@model_option
@model_tokens_option
@seed_option
@tier_option
@workers_option
@referee_option
@referee_token_option
def mcp(task: str, run_dir: Path | None, **options: Any) -> None:
    """Let an MCP client climb TASK: the tools of a researcher over stdio, or over HTTP with a token for each agent.

    An agent with a shell as this user can reach the vault; with --referee under another user it cannot.
    """
    import secrets
    import time

    import msgspec

    from toprope.cli.climbing import able, connect
    from toprope.researchers import server
    from toprope.run.desk import Quota
    from toprope.run.session import Session
    from toprope.run.spec import External, wished
    from toprope.tasks import registry
    from toprope.view import terminal

    server.needed()
    named = registry.find(task)
    if (options["http"] is None) != (options["tokens"] is None):
        raise UsageError("--http and --tokens belong together; over stdio there is one agent and no token")
    tokens = server.read_tokens(options["tokens"]) if options["tokens"] is not None else {}
    directory = run_dir or Path("runs") / f"{named.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    ask = wished(named, "external", {**options, "tokens": None, "researchers": max(1, len(tokens))})
    able(ask)
    ask = msgspec.structs.replace(ask, run=secrets.token_hex(8))
    past = (directory / "ledger.db").is_file()

    def tier(before: str | None) -> Any:
        return proven(False, options["tier"] if before is None else before)

    link = connect(options["referee"], options["referee_token_file"])
    workers = options["workers"] or cores()
    cap = options["candidate_tokens"]
    with Session(directory, None if past else ask, tier, workers, terminal.Plain(), link, cap) as session:
        o = session.opening
        if o.task != named or not isinstance(o.climber, External):
            raise UsageError(f"run {directory} is a climb of {o.task} by {o.climber.label}; name another --run")
        desk = session.desk(Quota.of(o.plan))
        session.screen.say(f"run {directory}: ready")
        if options["http"] is None:
            (box,) = server.boxes(desk, session.task, directory, o.seed, [server.ONE]).values()
            server.serve_stdio(box, session.task)
        else:
            some = server.boxes(desk, session.task, directory, o.seed, list(tokens))
            server.serve_http(some, session.task, tokens, options["http"])
        desk.settled()
        if options["unseal"]:
            session.unseal()


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
