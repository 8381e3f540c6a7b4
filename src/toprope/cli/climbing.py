"""Commands that climb: climb, resume, unseal."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    again,
    as_json,
    at_home,
    cores,
    emit,
    main,
    model_tokens_option,
    not_both,
    proven,
    referee_option,
    referee_token_option,
    task_option,
    tier_option,
    trust,
    workers_option,
)
from toprope.errors import RunError, UsageError

executor_option = click.option(
    "--executor",
    default="local",
    show_default=True,
    help="What runs practice work: local, a name that a package registers, or MODULE:CLASS.",
)


def wishes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that are stored in a run's record (`journal/spec.py`)."""
    from toprope.journal.spec import options

    for o in reversed(options()):
        command = click.option(o.flag, type=o.kind, multiple=o.many, metavar=o.metavar, help=o.help)(command)
    return command


@main.command(short_help="Climb TASK until the budget is spent.")
@click.argument("task")
@click.option(
    "--climber",
    default="evolution",
    show_default=True,
    help="evolution, random, replay:FILE, llm with --model, a name that a package registers, or MODULE:CLASS.",
)
@click.option(
    "--directions", type=click.Path(path_type=Path), help="With --climber llm: a file with one direction per line."
)
@wishes
@workers_option
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory [runs/TASK-TIME].")
@executor_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@tier_option
@referee_option
@referee_token_option
@trust
@as_json
def climb(task: str, run_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Climb TASK until the budget is spent."""
    import secrets
    import time

    import msgspec

    from toprope import paths
    from toprope.tasks import registry

    not_both(options["trust"], options["tier"])
    spec = wished(registry.find(task), options)
    able(spec)
    directory = run_dir or paths.RUNS / f"{spec.task.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    _sit(directory, msgspec.structs.replace(spec, run=secrets.token_hex(8)), as_json, options)


def wished(task: str, options: dict[str, Any]) -> Any:
    """The spec of a new climb, from the values that click parsed."""
    from toprope.journal.spec import RunSpec, among

    climber, file = options["climber"], options["directions"]
    if climber == "external":
        raise UsageError(f"--climber external is not for this command; for agents of your own use `toprope mcp {task}`")
    if file is not None and climber != "llm":
        raise UsageError(f"--directions is for --climber llm, not for {climber}; leave it out")
    if file is not None and options["direction"]:
        raise UsageError("--direction and --directions both name directions; give one of them")
    if climber == "llm" and not options["direction"]:
        from toprope.researchers import team
        from toprope.tasks import registry

        options = {**options, "direction": team.directions(registry.load(task).spec, file)}
    return RunSpec.from_keywords(task, climber, **among(options))


def able(spec: Any) -> None:
    """Raises UsageError for models that cannot be used, before a directory or the vault is touched."""
    from toprope.models.messages import SCRIPTED
    from toprope.models.provider import get

    if spec.candidate_model is not None and spec.candidate_model.model != SCRIPTED:
        get("--candidate-model", spec.candidate_model.model)
    if spec.plan is not None and spec.plan.model:
        from toprope.researchers import team

        get("--model", spec.plan.model)
        team.priced(spec.plan.model, spec.plan.prices, spec.plan.dollars)


def connect(address: str | None, token_file: Path | None) -> Any:
    """What connects to a hub of our own (address None), or to the service at this address."""
    from toprope.referee.address import parse, reach, read_token
    from toprope.referee.client import own_hub

    return own_hub if address is None else reach(parse(address), read_token(token_file))


def _sit(directory: Path, spec: Any, as_json: bool, options: dict[str, Any]) -> None:
    """One session: climb, unseal and report as the options ask; prints how it ended and where the time went."""
    import time

    from toprope.executors.registry import named
    from toprope.journal.export import summary
    from toprope.journal.reading import read
    from toprope.run.session import Session
    from toprope.view import report, terminal, text

    screen, began = terminal.screen(), time.monotonic()
    spent: dict[str, float] = {}

    def lap(phase: str) -> None:
        spent[phase] = max(0.0, round(time.monotonic() - began - sum(spent.values()), 1))

    workers = options["workers"] or cores()

    def tier(past: str | None) -> Any:
        return proven(options["trust"], options.get("tier") if past in (None, "none") else past)

    link = connect(options["referee"], options["referee_token_file"])
    verb = "resume" if options.get("climb", True) else "unseal"
    click.get_current_context().find_root().obj = (directory / "ledger.db", again(verb, directory, options))
    cap, by = options["candidate_tokens"], options.get("climber")
    make = named(options.get("executor", "local"))
    with screen, Session(directory, spec, tier, workers, screen, link, cap, make, by) as session:
        lap("start_s")
        if options.get("climb", True):
            _climbed(session)
            if screen.state.waited:
                spent["gate_s"] = round(screen.state.waited, 1)
            lap("climb_s")
        if options["unseal"]:
            session.unseal(options.get("beacon"))
            lap("test_s")
    history = read(directory)
    result = summary(history)
    if options["report"] or (directory / report.NAME).exists():  # keep an existing page up to date
        result["report"] = str(report.write(directory))
    result["cost"]["sitting"] = {**spent, "total_s": round(time.monotonic() - began, 1)}
    emit(result, as_json, lambda r: text.ending(r, again("unseal", directory, options)))


def _climbed(session: Any) -> None:
    """Climbs by the climber that the run names: one that proposes rows, or researchers with submissions."""
    o = session.opening.spec
    if line := _model_forecast(session):
        session.screen.say(line)
    if o.plan is None:
        session.climb()
        return
    from toprope.researchers import team
    from toprope.run.accounts import Quota

    for line in team.forecast(o.plan):
        session.screen.say(line)
    submissions = session.submissions(Quota.of(o.plan))
    left = None if o.minutes is None else 60 * o.minutes - submissions.elapsed
    if submissions.left and (left is None or left > 0):
        team.work(submissions, session.task, o.plan, session.directory, o.seed, left, session.screen.say)
        submissions.settled()


def _model_forecast(session: Any) -> str:
    """What asking a model may cost at most; empty where candidates ask no model, or a script, which costs nothing."""
    from toprope.models.messages import SCRIPTED

    asked, use, splits = session.opening.spec.candidate_model, session.task.spec.model, session.task.spec.splits
    if asked is None or use is None or asked.model == SCRIPTED:
        return ""
    cap = session.tokens
    said = "no cap on tokens (--candidate-tokens)" if cap is None else f"at most {cap:,} tokens, and as many hidden"
    return (
        f"candidates ask {asked.model}: at most {use.calls * splits.rungs[-1]:,} questions an experiment, "
        f"{use.calls * 2 * splits.val_slice:,} an attempt; {said}"
    )


@main.command(short_help="Continue RUN where it stopped.")
@click.argument("run", type=click.Path(path_type=Path))
@task_option
@click.option("--climber", help="The climber again; needed if it is a MODULE:CLASS.")
@workers_option
@executor_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@model_tokens_option
@referee_option
@referee_token_option
@trust
@as_json
def resume(run: Path, task: Path | None, as_json: bool, **options: Any) -> None:
    """Continue RUN where it stopped."""
    from toprope.journal.spec import named_again

    spec = at_home(run, task)
    if spec is not None:
        named_again(run, spec.climber, options["climber"])
        _resumable(run, spec)
    _sit(run, None, as_json, options)


def _resumable(run: Path, spec: Any) -> None:
    """Raises RunError for a run that this command cannot continue, before the vault counts a session."""
    plan = spec.plan
    if plan is None:
        return
    if not plan.model:
        words = shlex.join(["toprope", "mcp", spec.task, "--run", str(run)])
        raise RunError(f"run {run} is climbed by agents of your own; continue it with `{words}`")
    if not plan.directions:
        raise RunError(f"run {run} names no directions for its researchers and cannot be continued; begin a new run")


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
def unseal(run: Path, task: Path | None, as_json: bool, **options: Any) -> None:
    """Open RUN's sealed test for its champion as it stands. This ends the run.

    A run that named a beacon round is committed to its champion first; --beacon VALUE then opens the test.
    """
    at_home(run, task)
    _sit(run, None, as_json, {**options, "climb": False, "unseal": True})
