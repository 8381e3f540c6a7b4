"""Commands that read a run: report, verify, export."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from toprope.cli.group import as_json, cores, emit, main, proven, trust, workers_option
from toprope.errors import UsageError


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write [RUN/report.html].")
@as_json
def report(run: Path, output: Path | None, as_json: bool) -> None:
    """Write RUN's report: one HTML page that works offline."""
    from toprope.view.report import write

    path = str(write(run, output))
    emit(path, as_json, lambda: f"report: {path}")


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
        result = check(run, report_file, proven(trust, None).tier, workers or cores(), vault, render, screen.progress)
    emit(result, as_json, lambda: text.verification(result))
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
