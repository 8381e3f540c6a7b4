"""Commands that climb: tasks, climb, resume, unseal, submit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toprope.cli.group import (
    as_json,
    asks,
    cores,
    emit,
    main,
    model_option,
    model_tokens_option,
    not_both,
    proven,
    referee_option,
    referee_token_option,
    seed_option,
    tier_option,
    trust,
    workers_option,
)
from toprope.errors import UsageError


@main.command()
@as_json
def tasks(as_json: bool) -> None:
    """List the tasks that can be climbed."""
    import msgspec

    from toprope.tasks import registry
    from toprope.view import text

    rows = [msgspec.structs.asdict(listing) for listing in registry.available()]
    emit(rows, as_json, lambda: text.tasks(rows))


@main.command()
@click.argument("task")
@click.option("--climber", default="evolution", show_default=True, help="random, evolution, replay:FILE or llm.")
@click.option("--model", help="With --climber llm: PROVIDER/NAME, as Inspect names models.")
@click.option("--researchers", type=click.IntRange(1, 100), help="With --climber llm: how many, side by side [1].")
@click.option("--directions", type=click.Path(path_type=Path), help="With --climber llm: a file, a direction a line.")
@click.option("--attempts", type=click.IntRange(1, 10**6), help="With --climber llm: at the gate, for each [8].")
@click.option(
    "--tokens",
    type=click.IntRange(1, 10**12),
    help="With --climber llm: cap for each [2,000,000]; the last reply may pass it.",
)
@click.option("--dollars", type=float, help="With --climber llm: hard cap for each; needs --prices.")
@click.option(
    "--prices", metavar="IN,OUT", help="With --climber llm: dollars for a million tokens [,CACHE WRITE,READ]."
)
@click.option("--experiments", type=int, help="Budget in experiments; exact and reproducible.")
@click.option("--minutes", type=float, help="Budget in minutes of climbing [2 if no budget is given].")
@click.option("--until", type=float, help="Stop when the measured value of the champion has reached this.")
@click.option(
    "--patience",
    type=click.IntRange(1, 10**9),
    help="Stop after so many experiments without a better practice value or a promotion.",
)
@workers_option
@seed_option
@click.option("--rehearsal-secret", help="Replace the random run secret; the run then certifies nothing.")
@click.option("--beacon-round", help="A future round of a public beacon, whose value will decide the test draws.")
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory [runs/TASK-TIME].")
@click.option("--executor", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@model_option
@model_tokens_option
@tier_option
@referee_option
@referee_token_option
@trust
@as_json
def climb(task: str, run_dir: Path | None, executor: str, as_json: bool, **options: Any) -> None:
    """Climb TASK until the budget is spent."""
    import secrets
    import time

    from toprope.run.records import Ask
    from toprope.tasks import registry

    del executor  # one so far; the option is part of the contract
    not_both(options["trust"], options["tier"])
    experiments = _positive("--experiments", options["experiments"])
    minutes = _positive("--minutes", options["minutes"])
    unbounded = experiments is None and minutes is None
    named = registry.find(task)
    climber, plan = _planned(named, options)
    ask = Ask(
        secrets.token_hex(8),
        named,
        climber,
        options["seed"],
        plan.researchers * plan.experiments if unbounded and plan is not None else experiments,
        2.0 if unbounded and plan is None else minutes,
        options["rehearsal_secret"],
        options["beacon_round"],
        plan,
        asks(named, options["candidate_model"], options["candidate_tokens"]),
        options["until"],
        options["patience"],
    )
    _check_names(ask)
    directory = run_dir or Path("runs") / f"{ask.task.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    _sit(directory, ask, as_json, options)


RESEARCH = ("model", "researchers", "directions", "attempts", "tokens", "dollars", "prices")


def _planned(task: str, options: dict[str, Any]) -> tuple[str, Any]:
    """The climber's name in the ledger, and how researchers share the run; (name, None) for other climbers."""
    given = {name: options.pop(name) for name in RESEARCH}
    climber = options["climber"]
    if climber == "external":
        raise UsageError(f"--climber external stands for agents of your own, which climb by `toprope mcp {task}`")
    if climber.startswith("llm:") and given["model"] is None:  # as the ledger and a report name it
        climber, _, given["model"] = climber.partition(":")
    if climber != "llm":
        if extra := [name for name, value in given.items() if value is not None]:
            raise UsageError(f"--{extra[0]} is for --climber llm, not for {climber}")
        return climber, None
    from toprope.referee.provider import get
    from toprope.researchers import team
    from toprope.run.records import Plan
    from toprope.tasks import registry

    if given["model"] is None:
        raise UsageError("--climber llm needs --model PROVIDER/NAME, such as openai/NAME or anthropic/NAME")
    _positive("--dollars", given["dollars"])
    if given["prices"] is not None:
        given["prices"] = _prices(given["prices"])
    get("--model", given["model"])
    team.priced(given["model"], given["prices"] or [], given["dollars"])
    chosen = {name: value for name, value in given.items() if value is not None and name != "directions"}
    return f"llm:{given['model']}", Plan(
        **{**chosen, "directions": team.directions(registry.load(task).spec, given["directions"])}
    )


def _check_names(ask: Any) -> None:
    """Unknown names, and what cannot be written into a ledger, end before a directory is made."""
    from toprope import climbers

    for option, value in (("--climber", ask.climber), ("--rehearsal-secret", ask.rehearsal or "")):
        if not _is_text(value):
            raise UsageError(f"{option} {value!r} is no text; expected UTF-8")
    if not climbers.authored(ask.climber):
        climbers.known(ask.climber)
    if ask.until is not None and not -1e9 < ask.until < 1e9:
        raise UsageError(f"--until {ask.until}; expected a value of the task's metric, such as 0.5")


def _is_text(value: str) -> bool:
    """Words from the command line may hold bytes that are none, as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _positive(name: str, value: float | None) -> Any:
    if value is not None and not 0 < value <= 1e9:
        raise UsageError(f"{name} {value}; expected a number above 0 and at most 1e9")
    return value


def _prices(said: str) -> list[float]:
    try:
        found = [float(part) for part in said.split(",")]
    except ValueError:
        found = []
    if len(found) not in (2, 4) or not all(0 <= price <= 1e6 for price in found):
        raise UsageError(f"--prices {said}; expected IN,OUT or IN,OUT,WRITE,READ in dollars for a million tokens: 3,15")
    return found


def connect(address: str | None, token_file: Path | None) -> Any:
    """To a hub of our own, or to the service at this address."""
    from toprope.referee.address import parse, reach, read_token
    from toprope.referee.client import own_hub

    return own_hub if address is None else reach(parse(address), read_token(token_file))


def _sit(directory: Path, ask: Any, as_json: bool, options: dict[str, Any]) -> None:
    """One sitting: climb, perhaps unseal, perhaps report; says how it ended and where the time went."""
    import time

    from toprope.run.session import Session
    from toprope.run.story import read, summary
    from toprope.view import terminal, text

    screen, began = terminal.screen(), time.monotonic()
    spent: dict[str, float] = {}

    def lap(phase: str) -> None:
        spent[phase] = round(time.monotonic() - began - sum(spent.values()), 1)

    workers = options["workers"] or cores()

    def tier(past: str | None) -> Any:
        return proven(options["trust"], options.get("tier") if past in (None, "none") else past)

    link = connect(options["referee"], options["referee_token_file"])
    with screen, Session(directory, ask, tier, workers, screen, link, options["candidate_tokens"]) as session:
        lap("start_s")
        if options.get("climb", True):
            _climbed(session)
            lap("climb_s")
        if options["unseal"]:
            session.unseal(options.get("beacon"))
            lap("test_s")
    result = summary(read(directory))
    if options["report"]:
        from toprope.view.report import write

        result["report"] = str(write(directory))
    result["cost"]["sitting"] = {**spent, "total_s": round(time.monotonic() - began, 1)}
    emit(result, as_json, lambda: text.ending(result))


def _climbed(session: Any) -> None:
    """By the climber the run names: one that is asked for rows, or researchers at the run's desk."""
    from toprope import climbers
    from toprope.errors import RunError

    o = session.opening
    if line := _model_forecast(session):
        session.screen.say(line)
    if not climbers.authored(o.climber):
        session.climb()
        return
    if o.plan is None or not o.plan.model:
        raise RunError(f"run {session.directory} is climbed by agents of your own: `toprope mcp --run` goes on with it")
    from toprope.researchers import team
    from toprope.run.desk import Quota

    for line in team.forecast(o.plan):
        session.screen.say(line)
    desk = session.desk(Quota.of(o.plan))
    left = None if o.minutes is None else 60 * o.minutes - desk.elapsed
    if desk.left and (left is None or left > 0):
        team.work(desk, session.task, o.plan, session.directory, o.seed, left, session.screen.say)
        desk.settled()


def _model_forecast(session: Any) -> str:
    """What asking a model may cost at most; empty where none is asked, or a script that costs nothing."""
    from toprope.referee.messages import SCRIPTED

    asks, use, splits = session.opening.asks, session.task.spec.model, session.task.spec.splits
    if asks is None or asks.model == SCRIPTED:
        return ""
    cap = session.tokens
    said = "no cap on tokens (--candidate-tokens)" if cap is None else f"at most {cap:,} tokens, and as many hidden"
    return (
        f"candidates ask {asks.model}: at most {use.calls * splits.rungs[-1]:,} questions an experiment, "
        f"{use.calls * 2 * splits.val_slice:,} an attempt; {said}"
    )


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@workers_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
@model_tokens_option
@referee_option
@referee_token_option
@trust
@as_json
def resume(run: Path, as_json: bool, **options: Any) -> None:
    """Continue RUN where it stopped."""
    _sit(run, None, as_json, options)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--beacon", help="Value of the beacon round that RUN named when it began, as published.")
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
    _sit(run, None, as_json, {**options, "climb": False, "unseal": True})


@main.command()
@click.argument("task")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--params", type=click.Path(path_type=Path), help="JSON file [DIRECTORY/params.json].")
@model_option
@model_tokens_option
@seed_option
@tier_option
@trust
@as_json
def submit(task: str, directory: Path, params: Path | None, as_json: bool, **options: Any) -> None:
    """Score one candidate DIRECTORY on TASK's dev draws."""
    from toprope.run.submit import submit as score_one
    from toprope.tasks import registry
    from toprope.view import terminal, text

    trust, tier, named = options["trust"], options["tier"], registry.find(task)
    not_both(trust, tier)
    wanted = asks(named, options["candidate_model"], options["candidate_tokens"])
    with terminal.screen() as screen:
        result = score_one(
            named, directory, params, options["seed"], lambda: proven(trust, tier), screen.progress, wanted
        )
    emit(result, as_json, lambda: text.submission(result))
