"""Commands for people who write tasks or candidates by hand: new, brief, oracle."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from toprope import output
from toprope.cli.group import as_json, emit, main, seed_option, task_ids
from toprope.errors import UsageError


@main.command(short_help="Write a small task that you can change.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "task_id", help="family/name-vN [own/DIRECTORY-v1].")
@as_json
def new(directory: Path, task_id: str | None, as_json: bool) -> None:
    """Write a small task into DIRECTORY. It works as it is and is meant to be changed.

    Every command that takes a TASK also takes its directory: `toprope check DIRECTORY`, `toprope climb DIRECTORY`.
    """
    from toprope.tasks.new import new as write
    from toprope.view import text

    named = write(directory, task_id)
    result = {"task": named, "directory": str(directory)}
    emit(result, as_json, lambda r: text.scaffold(r["task"], r["directory"]))


@main.command(short_help="Write TASK's public part into a folder.")
@click.argument("task", shell_complete=task_ids)
@click.argument("directory", type=click.Path(path_type=Path))
@seed_option
@as_json
def brief(task: str, directory: Path, seed: int, as_json: bool) -> None:
    """Write the public part of TASK to DIRECTORY: documentation, practice cases and a first program."""
    from toprope.run.public_brief import brief as write
    from toprope.tasks import registry
    from toprope.view import text

    result = write(registry.find(task), directory, seed)
    emit(result, as_json, text.brief)


@main.command(short_help="Ask the program that TASK imitates.", context_settings={"ignore_unknown_options": True})
@click.argument("task", shell_complete=task_ids)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--lines", is_flag=True, help="Read questions from standard input and print answers, one line of JSON each."
)
@click.option(
    "--stdin", "stdin", type=click.Path(path_type=Path), help="File that the program reads as its standard input."
)
@as_json
def oracle(task: str, words: tuple[str, ...], lines: bool, stdin: Path | None, as_json: bool) -> None:
    """Ask the program that TASK imitates: `toprope oracle TASK -- ARGUMENTS`. Questions are counted over all runs."""
    from toprope import paths
    from toprope.run.public_brief import oracle as ask
    from toprope.tasks import registry

    if lines and (words or stdin):
        raise UsageError("--lines takes its questions from standard input; leave out ARGUMENTS and --stdin")
    given = stdin.read_bytes().decode("latin-1") if stdin is not None else ""
    one = json.dumps({"argv": [_bytes(w) for w in words], "stdin": given})
    for answer in ask(registry.find(task), sys.stdin if lines else [one], paths.vault()):
        if lines:
            output.say(json.dumps(answer))
        elif "error" in answer:
            raise UsageError(answer["error"])
        else:
            shown = answer if as_json else {**answer, **{k: answer[k].splitlines() for k in ("stdout", "stderr")}}
            emit(shown, as_json, _said)


def _bytes(word: str) -> str:
    """A word of the command line, with one character for each of its bytes."""
    return word.encode("utf-8", "surrogateescape").decode("latin-1")


def _said(answer: dict[str, Any]) -> str:
    """answer: with the lines of stdout and stderr as lists, so that each is cleaned by itself."""
    shown = [f"{name}: {line}" for name in ("stdout", "stderr") for line in answer[name]]
    end = answer.get("ended") or f"exit code {answer['exit_code']}"
    return "\n".join([*shown, f"{end}; {answer['queries_left']} questions left"])
