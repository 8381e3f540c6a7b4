"""The command line: parsing and printing only. Heavy imports happen inside the commands, so `--help` stays quick."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from toprope import __version__
from toprope.errors import TopropeError, UsageError

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
trust = click.option(
    "--i-trust-the-candidates",
    "trust",
    is_flag=True,
    help="Run candidates without a sandbox. Every result is marked unprotected and certifies nothing.",
)
tier_option = click.option(
    "--tier",
    type=click.Choice(["linux-full", "linux-landlock"]),
    help="Sandbox tier that must hold [the best that proves itself].",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Fixes the climber and the dev draws.",
)
referee_option = click.option("--referee", help="Use the referee service at unix:PATH or tcp:127.0.0.1:PORT.")
referee_token_option = click.option(
    "--referee-token-file", type=click.Path(path_type=Path), help="The service's token."
)
workers_option = click.option("--workers", type=click.IntRange(1, 512), help="Scorers on this machine [cores].")


LINE_MAX = 1200  # characters of a complaint


class Commands(click.Group):
    """Every expected failure ends in one clear line and its exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """click's own complaints in our form: one line, without the usage above it."""
        try:
            sys.exit(super().main(*args, **{**options, "prog_name": "toprope", "standalone_mode": False}))
        except click.ClickException as e:
            if type(e).__name__ == "NoArgsIsHelpError":  # a class since click 8.2; its message is the help page
                e.show()
                sys.exit(2)
            command = e.ctx.command_path if isinstance(e, click.UsageError) and e.ctx else "toprope"
            _complain(f"{e.format_message()} (`{command} --help` lists what there is)")
            sys.exit(2)
        except click.Abort:  # interrupted before a command had begun
            sys.exit(130)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TopropeError as e:
            _complain(str(e))
            ctx.exit(e.exit_code)
        except OSError as e:
            if e.errno == errno.EPIPE:  # whoever read our output has enough; click knows what to do
                raise
            _complain(f"{e.filename or 'the system'}: {e.strerror or e}; make it readable and writable for this user")
            ctx.exit(2)
        except KeyboardInterrupt:
            again = ctx.invoked_subcommand in ("climb", "resume", "unseal")
            _complain("interrupted" + ("; nothing is lost, `toprope resume RUN` continues" if again else ""))
            ctx.exit(130)


def _complain(message: str) -> None:
    """One line on stderr, whatever the message was made of."""
    from toprope.view.text import clean

    line = "toprope: " + clean(" ".join(message.split()))
    if len(line) > LINE_MAX:  # somebody's value, quoted: what was expected and the remedy stand at the end
        line = f"{line[: LINE_MAX // 2]} … {line[-LINE_MAX // 2 :]}"
    click.echo(line, err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="toprope")
def main() -> None:
    """Climb alignment problems with very many cheap experiments, and keep the score worth believing."""


def _emit(result: Any, as_json: bool, lines: Callable[[], str]) -> None:
    """JSON on stdout for programs, or the designed text on stderr for people."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
    else:
        click.echo(lines(), err=True)


def _tier(trust: bool, wish: str | None) -> Any:
    """Proves the tier that is wished for, or the best one; "none" for who trusts the candidates."""
    from toprope.sandbox.selftest import Choice, best_tier

    return Choice("none") if trust else best_tier(wish)


def _not_both(trust: bool, tier: str | None) -> None:
    if trust and tier is not None:
        raise UsageError(f"--tier {tier} and --i-trust-the-candidates contradict each other; give one of them")


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


# ---------------------------------------------------------------- climbing


@main.command()
@as_json
def tasks(as_json: bool) -> None:
    """List the tasks that can be climbed."""
    import msgspec

    from toprope.tasks import registry
    from toprope.view import text

    rows = [msgspec.structs.asdict(listing) for listing in registry.available()]
    _emit(rows, as_json, lambda: text.tasks(rows))


@main.command()
@click.argument("task")
@click.option("--climber", default="evolution", show_default=True, help="Who proposes: random, evolution, replay:FILE.")
@click.option("--experiments", type=int, help="Budget in experiments; exact and reproducible.")
@click.option("--minutes", type=float, help="Budget in minutes of climbing [2 if no budget is given].")
@workers_option
@seed_option
@click.option("--rehearsal-secret", help="Replace the random run secret; the run then certifies nothing.")
@click.option("--beacon-round", help="A future round of a public beacon, whose value will decide the test draws.")
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory [runs/TASK-TIME].")
@click.option("--executor", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
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

    del executor  # one so far; the option is part of the contract
    _not_both(options["trust"], options["tier"])
    experiments = _positive("--experiments", options["experiments"])
    minutes = _positive("--minutes", options["minutes"])
    ask = Ask(
        secrets.token_hex(8),
        task,
        options["climber"],
        options["seed"],
        experiments,
        2.0 if experiments is None and minutes is None else minutes,
        options["rehearsal_secret"],
        options["beacon_round"],
    )
    directory = run_dir or Path("runs") / f"{task.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    _check_names(ask)
    _sit(directory, ask, as_json, options)


def _check_names(ask: Any) -> None:
    """Unknown names, and what cannot be written into a ledger, end before a directory is made."""
    from toprope import climbers
    from toprope.tasks import registry

    for option, value in (("--climber", ask.climber), ("--rehearsal-secret", ask.rehearsal or "")):
        if not _is_text(value):
            raise UsageError(f"{option} {value!r} is no text; expected UTF-8")
    registry.known(ask.task)
    climbers.known(ask.climber)


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


def _connect(address: str | None, token_file: Path | None) -> Any:
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

    workers = options["workers"] or _cores()

    def tier(past: str | None) -> Any:
        return _tier(options["trust"], options.get("tier") if past in (None, "none") else past)

    connect = _connect(options["referee"], options["referee_token_file"])
    with screen, Session(directory, ask, tier, workers, screen, connect) as session:
        lap("start_s")
        if options.get("climb", True):
            session.climb()
            lap("climb_s")
        if options["unseal"]:
            session.unseal(options.get("beacon"))
            lap("test_s")
    result = summary(read(directory))
    if options["report"]:
        from toprope.view.report import write

        result["report"] = str(write(directory))
    result["cost"]["sitting"] = {**spent, "total_s": round(time.monotonic() - began, 1)}
    _emit(result, as_json, lambda: text.ending(result))


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@workers_option
@click.option("--unseal", is_flag=True, help="Open the sealed test at the end.")
@click.option("--report", is_flag=True, help="Write RUN/report.html at the end.")
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
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write [RUN/report.html].")
@as_json
def report(run: Path, output: Path | None, as_json: bool) -> None:
    """Write RUN's report: one HTML page that works offline."""
    from toprope.view.report import write

    path = str(write(run, output))
    _emit(path, as_json, lambda: f"report: {path}")


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--report-file", type=click.Path(path_type=Path), help="The report to compare [RUN/report.html].")
@workers_option
@trust
@as_json
def verify(run: Path, report_file: Path | None, workers: int | None, trust: bool, as_json: bool) -> None:
    """Check RUN: chain, secret, and everything that can be run again from its files. Exit 1 if anything differs."""
    import os

    from toprope.assay.verify import verify as check
    from toprope.run.session import vault_directory
    from toprope.view import terminal, text
    from toprope.view.report import render

    vault = vault_directory()
    os.environ["TOPROPE_VAULT"] = str(vault)  # where tasks find private weights
    with terminal.screen() as screen:
        result = check(run, report_file, _tier(trust, None).tier, workers or _cores(), vault, render, screen.progress)
    _emit(result, as_json, lambda: text.verification(result))
    if not result["ok"]:
        sys.exit(1)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write [stdout].")
def export(run: Path, output: Path | None) -> None:
    """Write everything RUN decided, without times, as JSON."""
    from toprope.run.story import export as export_story
    from toprope.run.story import read

    data = json.dumps(export_story(read(run)), indent=1)
    if output is None:
        click.echo(data)
    else:
        try:
            output.write_text(data + "\n", encoding="utf-8")
        except OSError as e:
            raise UsageError(f"cannot write {output}: {e.strerror}; name another file with -o") from e


@main.command()
@click.argument("task")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--params", type=click.Path(path_type=Path), help="JSON file [DIRECTORY/params.json].")
@seed_option
@tier_option
@trust
@as_json
def submit(
    task: str, directory: Path, params: Path | None, seed: int, tier: str | None, trust: bool, as_json: bool
) -> None:
    """Score one candidate DIRECTORY on TASK's dev draws."""
    from toprope.run.submit import submit as score_one
    from toprope.view import terminal, text

    _not_both(trust, tier)
    with terminal.screen() as screen:
        result = score_one(task, directory, params, seed, lambda: _tier(trust, tier), screen.progress)
    _emit(result, as_json, lambda: text.submission(result))


@main.command()
@click.option("--listen", required=True, help="unix:PATH or tcp:127.0.0.1:PORT.")
@click.option("--vault", type=click.Path(path_type=Path), help="The vault of this referee [TOPROPE_VAULT].")
@click.option("--token-file", type=click.Path(path_type=Path), help="Clients must hold the same token; mode 0600.")
@workers_option
def referee(listen: str, vault: Path | None, token_file: Path | None, workers: int | None) -> None:
    """Serve as the referee of other users' runs, under a user of its own, until stopped.

    `toprope climb TASK --referee ADDRESS` uses it; an agent that runs as another user than this one is then confined.
    """
    from toprope.referee.address import parse, read_token
    from toprope.referee.service import Service, Terms
    from toprope.run.session import vault_directory
    from toprope.sandbox.kernel import close_memory

    close_memory()
    address, token = parse(listen), read_token(token_file)
    service = Service(address, Terms(vault or vault_directory(), _tier(False, None).tier, workers or _cores(), token))
    click.echo(f"referee at {address}, vault {vault or vault_directory()}; stop it with Ctrl-C", err=True)
    service.run()


# ---------------------------------------------------------------- the machine


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Prove this machine's protection and say how to mend what is missing."""
    from toprope.sandbox.selftest import diagnose
    from toprope.view import text

    result = diagnose()
    _emit(result, as_json, lambda: text.doctor(result))
    if result["tier"] == "none":
        sys.exit(3)


@main.command()
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@tier_option
@as_json
def bench(quick: bool, tier: str | None, as_json: bool) -> None:
    """Measure what an experiment costs here, as ratios taken side by side."""
    from toprope.assay.bench import run as measure
    from toprope.view import text

    result = measure(_tier(False, tier).tier, quick)
    _emit(result, as_json, lambda: text.bench(result))


@main.command()
@click.argument("task")
@click.option("--probes", type=click.Path(path_type=Path), help="Directory of candidates that must not score.")
@workers_option
@as_json
def check(task: str, probes: Path | None, workers: int | None, as_json: bool) -> None:
    """Judge whether TASK is fit to be climbed; exit 1 if it is not."""
    from toprope.assay.check import check as judge
    from toprope.tasks import registry
    from toprope.view import terminal, text

    registry.known(task)
    with terminal.screen() as screen:
        result = judge(task, probes, _tier(False, None).tier, workers or _cores(), screen.progress)
    _emit(result, as_json, lambda: text.check(result))
    if not result["admitted"]:
        sys.exit(1)


@main.command()
@click.argument("task")
@click.option("--only", help="Ids or classes, separated by commas.")
@click.option("--corpus", type=click.Path(path_type=Path), help="A folder of cheats of your own, one file each.")
@tier_option
@as_json
def redteam(task: str, only: str | None, corpus: Path | None, tier: str | None, as_json: bool) -> None:
    """Let every known cheat loose on TASK. Exit code 1 if one pays or an honest twin is harmed."""
    from toprope.assay.redteam import engine
    from toprope.assay.redteam.corpus import LAYERS
    from toprope.tasks import registry
    from toprope.view import redteam as view

    registry.known(task)
    cheats = engine.chosen(only, corpus)
    with view.Watch(len(cheats)) as watch:
        result = engine.run(task, cheats, _tier(False, tier).tier, lambda v, *n: watch.heard(v.as_json(), *n))
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        view.show(result, LAYERS)
    if not result["ok"]:
        sys.exit(1)


@main.group()
def vault() -> None:
    """The referee's durable state, and private hidden weights."""


@vault.command("pretrain")
@click.option("--seed", type=int, help="Pretraining seed [random].")
@as_json
def vault_pretrain(seed: int | None, as_json: bool) -> None:
    """Pretrain private hidden weights for w2s tasks (needs the extra [torch]; minutes)."""
    from toprope.run.session import vault_directory
    from toprope.tasks.w2s.pretrain import for_vault
    from toprope.view import terminal

    with terminal.screen() as screen:
        result = for_vault(vault_directory(), seed, screen.progress)
    _emit(result, as_json, lambda: f"private hidden weights: {result['path']} (sha256 {result['sha256'][:12]})")


if __name__ == "__main__":
    main()
