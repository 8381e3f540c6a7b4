"""Commands about this machine: doctor, bench, referee, vault."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from toprope.cli.group import (
    as_json,
    cores,
    emit,
    main,
    model_option,
    model_tokens_option,
    proven,
    task_ids,
    tier_option,
    trust,
    workers_option,
)


@main.command(short_help="Self-test this machine's protection; show paths.")
@as_json
def doctor(as_json: bool) -> None:
    """Self-test this machine's protection and say how to repair what is missing."""
    from toprope.run import upkeep
    from toprope.sandbox.selftest import diagnose
    from toprope.view import text

    result = diagnose()
    result["paths"] = upkeep.locations()
    emit(result, as_json, text.doctor)
    if result["tier"] == "none":
        sys.exit(3)


@main.command(short_help="Measure what an experiment costs here.")
@click.argument("task", required=False, shell_complete=task_ids)
@click.option("--quick", is_flag=True, help="Fewer repetitions (without TASK).")
@click.option("--experiments", type=click.IntRange(min=1), help="Length of TASK's climb [a few generations].")
@workers_option
@tier_option
@as_json
def bench(
    task: str | None, quick: bool, experiments: int | None, workers: int, tier: str | None, as_json: bool
) -> None:
    """Measure what an experiment costs on this machine.

    With TASK: experiments per CPU second in a climb of that task, and where the time goes. Without: the engine's own
    cost, as ratios measured side by side."""
    from toprope.view import text

    if task is not None:
        from toprope.assay import bench_task

        emit(bench_task.run(task, proven(False, tier).tier, experiments, workers or cores()), as_json, text.bench_task)
        return
    from toprope.assay.bench import run as measure

    emit(measure(proven(False, tier).tier, quick), as_json, text.bench)


@main.command(short_help="Say what a very long climb of TASK would take.")
@click.argument("task", shell_complete=task_ids)
@click.option("--experiments", type=click.FloatRange(1, 1e15), required=True, help="Experiments of that climb: 1e9.")
@click.option("--cores", "on", type=click.IntRange(1, 10**7), required=True, help="Cores for practice work.")
@click.option("--price", type=click.FloatRange(0, 1e6), help="Money for one core and one hour.")
@click.option("--hub-cores", type=click.IntRange(1, 10**5), help="Cores for hidden work [this machine's].")
@click.option("--blocks", type=click.IntRange(1, 10**7), help="Blocks that a rung is cut into [CORES, at least 8].")
@click.option("--generation", type=click.IntRange(1, 10**6), help="Proposals of a generation [the task's].")
@click.option("--executor", default="local", show_default=True, help="Measure what a block costs through this one.")
@tier_option
@as_json
def forecast(
    task: str,
    experiments: float,
    on: int,
    price: float | None,
    hub_cores: int | None,
    blocks: int | None,
    generation: int | None,
    executor: str,
    tier: str | None,
    as_json: bool,
) -> None:
    """Say what a very long climb of TASK would take: hours, CPU time, ledger, memory, money, and how many cores it can
    use. Two short real climbs on this machine are the calibration."""
    from toprope.assay import forecast as measured
    from toprope.cli.group import builtins
    from toprope.executors.registry import named
    from toprope.tasks import registry
    from toprope.view import terminal, text

    name, make, held = registry.find(task), named(executor).make, proven(False, tier).tier
    with terminal.screen() as screen:
        found = measured.forecast(
            name, experiments, on, hub_cores or cores(), held, screen.progress, blocks, generation, price, make
        )
    emit(builtins(found), as_json, text.forecast)


@main.command(short_help="Serve as the referee of other users' runs.")
@click.option("--listen", required=True, help="unix:PATH or tcp:127.0.0.1:PORT.")
@click.option("--vault", type=click.Path(path_type=Path), help="The vault of this referee [TOPROPE_VAULT].")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="The token of clients, or a line NAME TOKEN for each; mode 0600.",
)
@model_option
@model_tokens_option
@workers_option
def referee(
    listen: str,
    vault: Path | None,
    token_file: Path | None,
    workers: int | None,
    candidate_model: str | None,
    candidate_tokens: int | None,
) -> None:
    """Serve as the referee of other users' runs, under a user of its own, until stopped.

    `toprope climb TASK --referee ADDRESS` uses it. An agent that runs as a different user cannot read its vault.
    """
    from toprope import paths
    from toprope.models.messages import SCRIPTED
    from toprope.referee.address import parse, read_tokens
    from toprope.referee.service import Service, Terms
    from toprope.sandbox.kernel import close_memory

    close_memory()
    address, tokens = parse(listen), read_tokens(token_file)
    terms = Terms(
        vault or paths.vault(),
        proven(False, None).tier,
        workers or cores(),
        tokens,
        candidate_model or SCRIPTED,
        candidate_tokens,
    )
    service = Service(address, terms)
    click.echo(f"referee at {address}, vault {vault or paths.vault()}; stop it with Ctrl-C", err=True)
    service.run()


@main.command(short_help="Do practice work of runs that share PATH.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(1, 512), help="Blocks at the same time [cores].")
@click.option("--idle-exit", type=click.FloatRange(0.1), help="End after this many seconds without work [never].")
@click.option("--task", type=click.Path(path_type=Path), help="Folder of a task of your own that runs may climb.")
@trust
def worker(path: Path, workers: int | None, idle_exit: float | None, task: Path | None, trust: bool) -> None:
    """Do practice work of runs that share the directory PATH (`toprope climb TASK --executor dir:PATH`).

    Start it on every machine of a cluster. It may be killed at any moment; a run loses its blocks in flight only.
    """
    from toprope.executors.worker import Worker
    from toprope.sandbox import ulimits
    from toprope.tasks import registry
    from toprope.view.text import clean

    ulimits.require()
    if task is not None:
        registry.find(str(task))
    here = Worker(path.resolve(), workers or cores(), trust, lambda line: click.echo(clean(line), err=True))
    click.get_current_context().find_root().obj = (path, shlex.join(["toprope", "worker", str(path)]))
    click.echo(f"worker {here.name}: {workers or cores()} lanes, work from {path}; stop it with Ctrl-C", err=True)
    here.work(idle_exit)


@main.group(short_help="Manage the private secrets of tasks.")
def vault() -> None:
    """Manage the referee's durable state: private secrets of tasks, which replace the public ones that they ship."""


vault.prefix = "vault."  # type: ignore[attr-defined]


@vault.command("make", short_help="Make TASK's secret private for this vault.")
@click.argument("task", shell_complete=task_ids)
@click.option("--seed", type=int, help="Make it from this seed, where TASK allows one [random].")
@as_json
def vault_make(task: str, seed: int | None, as_json: bool) -> None:
    """Make a private secret for TASK in this vault. TASK's hidden draws are made with it from then on.

    TASK defines what the secret is: hidden weights, a dialect. An existing secret is never replaced, because the
    vault's runs could not be verified without it.
    """
    from toprope import paths
    from toprope.tasks import registry, secrets
    from toprope.view import terminal

    with terminal.screen() as screen:
        result = secrets.make(registry.find(task), paths.vault(), seed, screen.progress)
    emit(result, as_json, lambda r: f"{r['hidden']}: {r['path']}")
