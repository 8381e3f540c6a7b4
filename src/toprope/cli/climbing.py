"""Commands that climb: climb, resume, unseal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    again,
    as_json,
    emit,
    main,
    model_tokens_option,
    referee_option,
    referee_token_option,
    task_ids,
    task_option,
    tier_option,
    trust,
    workers_option,
)
from toprope.errors import UsageError

ray_option = click.option("--ray-address", help="With --executor ray: a cluster, auto or HOST:PORT [a new one here].")


def wishes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that are stored in a run's record (`journal/spec.py`)."""
    from toprope.journal.spec import options

    for o in reversed(options()):
        command = click.option(o.flag, type=o.kind, multiple=o.many, metavar=o.metavar, help=o.help)(command)
    return command


@main.command(short_help="Climb TASK until the budget is spent.")
@click.argument("task", shell_complete=task_ids)
@click.option(
    "--climber",
    default="evolution",
    show_default=True,
    help="evolution, random, optuna:tpe, optuna:cmaes, replay:FILE, llm with --model, a name that a package "
    "registers, or MODULE:CLASS.",
)
@click.option(
    "--directions", type=click.Path(path_type=Path), help="With --climber llm: a file with one direction per line."
)
@wishes
@workers_option
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory [runs/TASK-TIME].")
@ray_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@tier_option
@referee_option
@referee_token_option
@trust
@as_json
def climb(task: str, run_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Climb TASK until the budget is spent."""
    from toprope import api, paths
    from toprope.tasks import registry

    options["executor"] = _at(options["executor"], options["ray_address"])
    spec = wished(registry.find(task), options)
    directory = run_dir or paths.new_run(spec.task)
    _session("resume", directory, as_json, options, lambda **shown: api.climb(spec, run=directory, **shown))


def wished(task: str, options: dict[str, Any]) -> Any:
    """The spec of a new climb, from the values that click parsed."""
    from toprope import api
    from toprope.journal.spec import among

    climber, file = options["climber"], options["directions"]
    if file is not None and climber != "llm":
        raise UsageError(f"--directions is for --climber llm, not for {climber}; leave it out")
    if file is not None and options["direction"]:
        raise UsageError("--direction and --directions both name directions; give one of them")
    if file is not None:
        from toprope.researchers import team
        from toprope.tasks import registry

        options = {**options, "direction": team.directions(registry.load(task).spec, file)}
    return api.wished(task, climber, **among(options))


def _at(executor: str | None, ray_address: str | None) -> str | None:
    """The executor's complete name."""
    if ray_address is None:
        return executor
    if executor != "ray":
        raise UsageError(f"--ray-address {ray_address} is for --executor ray; leave it out, or add --executor ray")
    return f"ray:{ray_address}"


SETTING = ("workers", "tier", "trust", "referee", "referee_token_file", "unseal", "report")


def _session(
    verb: str, directory: Path, as_json: bool, options: dict[str, Any], do: Callable[..., Any], **more: Any
) -> None:
    """Calls `do` with a terminal's screen, and prints how the session ended. verb: of the command that continues the
    run."""
    from toprope.journal.export import summary
    from toprope.view import report, terminal, text

    click.get_current_context().find_root().obj = (directory / "ledger.db", again(verb, directory, options))
    with terminal.screen() as screen:
        given = {name: options[name] for name in SETTING if name in options}
        result = summary(do(observers=[screen], **given, **more))
    if (directory / report.NAME).exists():
        result["report"] = str(directory / report.NAME)
    emit(result, as_json, lambda r: text.ending(r, again("unseal", directory, options)))


@main.command(short_help="Continue RUN where it stopped.")
@click.argument("run", type=click.Path(path_type=Path))
@task_option
@click.option("--climber", help="The climber again; needed if it is a MODULE:CLASS.")
@workers_option
@click.option("--executor", help="Another executor than RUN's, or RUN's again if it is MODULE:CLASS or ray:ADDRESS.")
@ray_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@model_tokens_option
@referee_option
@referee_token_option
@trust
@as_json
def resume(run: Path, as_json: bool, **options: Any) -> None:
    """Continue RUN where it stopped."""
    from toprope import api

    options["executor"] = _at(options["executor"], options["ray_address"])
    more = {name: options[name] for name in ("climber", "task", "candidate_tokens", "executor")}
    _session("resume", run, as_json, options, partial(api.resume, run), **more)


@main.command(short_help="Open RUN's sealed test, which ends the run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--beacon", help="Value of the beacon round that RUN named when it began, as published.")
@task_option
@workers_option
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@model_tokens_option
@referee_option
@referee_token_option
@trust
@as_json
def unseal(run: Path, as_json: bool, **options: Any) -> None:
    """Open RUN's sealed test for its champion as it stands. This ends the run.

    A run that named a beacon round is committed to its champion first; --beacon VALUE then opens the test.
    """
    from toprope import api

    more = {name: options[name] for name in ("beacon", "task", "candidate_tokens")}
    _session("unseal", run, as_json, options, partial(api.unseal, run), **more)
