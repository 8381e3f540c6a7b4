"""The command group: how every complaint ends, the options that commands share, how results are printed."""

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
model_option = click.option(
    "--candidate-model",
    help="PROVIDER/NAME that candidates may ask, where TASK allows it [the task's own script in its place].",
)
model_tokens_option = click.option(
    "--candidate-tokens",
    type=click.IntRange(1, 10**12),
    help="Hard cap on the tokens candidates use in practice, and as much again on hidden draws; of a service: in "
    "all runs together.",
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
            complain(f"{e.format_message()} (`{command} --help` lists what there is)")
            sys.exit(2)
        except click.Abort:  # interrupted before a command had begun
            sys.exit(130)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TopropeError as e:
            complain(str(e))
            ctx.exit(e.exit_code)
        except OSError as e:
            if e.errno == errno.EPIPE:  # whoever read our output has enough; click knows what to do
                raise
            complain(f"{e.filename or 'the system'}: {e.strerror or e}; make it readable and writable for this user")
            ctx.exit(2)
        except KeyboardInterrupt:
            again = {
                **dict.fromkeys(("climb", "resume", "unseal"), "; nothing is lost, `toprope resume RUN` continues"),
                "duel": "; nothing is lost, the same command with --run DIR continues",
            }
            complain("interrupted" + again.get(ctx.invoked_subcommand or "", ""))
            ctx.exit(130)


def complain(message: str) -> None:
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


def emit(result: Any, as_json: bool, lines: Callable[[], str]) -> None:
    """JSON on stdout for programs, or the designed text on stderr for people."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
    else:
        click.echo(lines(), err=True)


def proven(trust: bool, wish: str | None) -> Any:
    """Proves the tier that is wished for, or the best one; "none" for who trusts the candidates."""
    from toprope.sandbox.selftest import Choice, best_tier

    return Choice("none") if trust else best_tier(wish)


def not_both(trust: bool, tier: str | None) -> None:
    if trust and tier is not None:
        raise UsageError(f"--tier {tier} and --i-trust-the-candidates contradict each other; give one of them")


def asks(task_id: str, model: str | None, tokens: int | None) -> Any:
    """What a run records of the model that its candidates may ask; None for a task that allows none. Raises UsageError
    for a model that cannot be had."""
    from toprope.referee.messages import SCRIPTED
    from toprope.run.records import Asks
    from toprope.tasks import registry

    task = registry.load(task_id)
    if task.spec.model is None:
        if model is not None or tokens is not None:
            raise UsageError(f"candidates of {task_id} may ask no model; leave out --candidate-model and its tokens")
        return None
    if model not in (None, SCRIPTED):
        from toprope.referee.provider import get

        get("--candidate-model", model)
    return Asks(model or SCRIPTED, tokens)


def cores() -> int:
    import os

    return len(os.sched_getaffinity(0))
