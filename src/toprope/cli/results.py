"""Commands that read a run: report, verify, export."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from toprope.cli.group import as_json, builtins, emit, main, task_option, trust, workers_option
from toprope.errors import UsageError
from toprope.output import write

PIECES = 256  # of an export that are written at once


@main.command(short_help="Write RUN's report, a page that works offline.")
@click.argument("run", type=click.Path(path_type=Path))
@task_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write [RUN/report.html].")
@as_json
def report(run: Path, task: Path | None, output: Path | None, as_json: bool) -> None:
    """Write RUN's report: one HTML page that works offline."""
    from toprope.api import write_report

    path = str(write_report(run, output, task=task))
    emit(path, as_json, lambda path: f"report: {path}")


@main.command(short_help="Check RUN by running it again from its files.")
@click.argument("run", type=click.Path(path_type=Path))
@task_option
@click.option("--report-file", type=click.Path(path_type=Path), help="The report to compare [RUN/report.html].")
@workers_option
@trust
@as_json
def verify(
    run: Path, task: Path | None, report_file: Path | None, workers: int | None, trust: bool, as_json: bool
) -> None:
    """Check RUN's chain and secret, and run again all that its files allow. Exit 1 if anything differs."""
    from toprope import api
    from toprope.view import terminal, text

    with terminal.screen() as screen:
        found = api.verify(
            run, task=task, report_file=report_file, workers=workers, trust=trust, progress=screen.progress
        )
    result = builtins(found)
    emit(result, as_json, text.verification)
    if not result["ok"]:
        sys.exit(1)


@main.command(short_help="Write what RUN decided as JSON, or TASK for Inspect.")
@click.argument("what", metavar="RUN|TASK")
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--to", type=click.Choice(["inspect"]), help="Write TASK as a task of this framework into the new DIR.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="For a RUN: file to write [stdout].")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl", "csv", "parquet"]),
    help="For a RUN: one JSON object, or one on each line: the run, its experiments, its barriers; or a table of its "
    "experiments; parquet needs the extra [parquet] and -o [json].",
)
def export(what: str, directory: Path | None, to: str | None, output: Path | None, form: str | None) -> None:
    """Write everything RUN decided, without times, as JSON, or its experiments as a table; with --to inspect, TASK as a
    folder for `inspect eval`."""
    if to is None:
        if directory is not None:
            raise UsageError(
                f"export of a run takes no directory {directory}; name a file with -o, or give --to inspect"
            )
        _export_run(Path(what), output, form or "json")
        return
    if directory is None or output is not None or form is not None:
        raise UsageError("--to inspect writes a folder: `toprope export TASK --to inspect DIR`")
    from toprope.researchers import export as inspect
    from toprope.view import text

    path = inspect.write(what, directory)
    click.echo(text.clean(f"cd {path.parent} && inspect eval {path.name} --model PROVIDER/NAME"), err=True)


def _export_run(run: Path, output: Path | None, form: str) -> None:
    """In pieces, so that no run is too long for memory."""
    from toprope.journal import export as exports
    from toprope.journal import tables
    from toprope.journal.reading import read

    history = read(run)
    if form == "parquet":
        if output is None:
            raise UsageError("--format parquet writes a binary file; name it with -o FILE")
        _to_file(output, lambda: tables.write_parquet(history, output))
        return
    if form == "csv":
        pieces = tables.as_csv(history)
    elif form == "jsonl":
        pieces = (line + "\n" for line in exports.as_lines(history))
    else:
        pieces = itertools.chain(exports.as_json(history), ["\n"])
    if output is not None:
        _to_file(output, lambda: _write(output, pieces))
        return
    while some := "".join(itertools.islice(pieces, PIECES)):
        write(some)


def _write(output: Path, pieces: Iterable[str]) -> None:
    with output.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)


def _to_file(output: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as e:
        raise UsageError(f"cannot write {output}: {e.strerror}; name another file with -o") from e
