"""The command group: how errors end a command, the options that commands share, how results are printed."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from toprope import __version__, output
from toprope.errors import TopropeError, UsageError
from toprope.sandbox.ulimits import cores as cores

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
    help="Sandbox tier to use [the best that passes its self-test].",
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
    help="PROVIDER/NAME that candidates may ask, where TASK allows it [the task's own script instead of a model].",
)
model_tokens_option = click.option(
    "--candidate-tokens",
    type=click.IntRange(1, 10**12),
    help="Hard cap on the tokens that candidates use in practice, and again on hidden draws; for a service: in all "
    "runs together.",
)
workers_option = click.option("--workers", type=click.IntRange(1, 512), help="Scorers on this machine [cores].")


task_option = click.option(
    "--task", type=click.Path(path_type=Path), help="Folder of RUN's task, if the task is your own."
)


def task_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell completes a TASK to: the tasks that can be listed, with their titles, and files."""
    from toprope.tasks import registry

    found = [card for card in registry.available() if card.id.startswith(incomplete)]
    items = [CompletionItem(card.id, help=card.title) for card in found]
    return items or [CompletionItem(incomplete, type="file")]


LINE_MAX = 1200  # characters of an error message


class Command(click.Command):
    """Keeps what a task or a library prints out of the command's own output. Click prints help before `invoke`, so help
    still reaches stdout."""

    def invoke(self, ctx: click.Context) -> Any:
        output.claim()
        return super().invoke(ctx)


class Group(click.Group):
    """Our commands, then those that packages register as `toprope.commands`: NAME, or GROUP.NAME. A package cannot
    replace one of ours, and a command that cannot be loaded does not break the others."""

    command_class = Command
    prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from toprope import plugins

        inner = [name for name in plugins.registered(plugins.COMMANDS) if name.startswith(self.prefix)]
        return sorted(
            {*super().list_commands(ctx), *(n for n in (i[len(self.prefix) :] for i in inner) if "." not in n)}
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _of_package(self.prefix + cmd_name)


class Commands(Group):
    """Every expected failure ends in one clear line and its exit code."""

    group_class = Group

    def main(self, *args: Any, **options: Any) -> Any:
        """Prints click's own errors in our form: one line, without the usage above it."""
        try:
            sys.exit(super().main(*args, **{**options, "prog_name": "toprope", "standalone_mode": False}))
        except click.ClickException as e:
            if type(e).__name__ == "NoArgsIsHelpError":  # a class since click 8.2; its message is the help page
                e.show()
                sys.exit(2)
            command = e.ctx.command_path if isinstance(e, click.UsageError) and e.ctx else "toprope"
            complain(f"{e.format_message()} (see `{command} --help`)")
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
            if e.errno == errno.EPIPE:  # the reader of our output closed it; click handles that
                raise
            complain(_refused(e))
            ctx.exit(2)
        except MemoryError:
            from toprope.sandbox.ulimits import shortfalls

            complain((shortfalls() or ["this machine has no memory left; end other programs"])[0])
            ctx.exit(2)
        except KeyboardInterrupt:
            complain(f"interrupted{_goes_on(ctx)}")
            ctx.exit(130)


def _of_package(name: str) -> click.Command | None:
    """A command that a package registers; if it cannot be loaded, a command that says why."""
    from toprope import plugins

    try:
        plugin = plugins.find(plugins.COMMANDS, name)
        command = plugin.load() if plugin is not None else None
        if command is not None and not isinstance(command, click.Command):
            raise UsageError(f"{plugin} is a {type(command).__name__}; expected a click.Command")
        return command
    except UsageError as e:
        return Command(name, callback=partial(_raise, e), short_help="(cannot be loaded)", add_help_option=False)


def _raise(error: Exception) -> None:
    raise error


def _refused(e: OSError) -> str:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        where = e.filename or "standard output, or a file of this command"
        return f"{where}: no space is left on its device; free some, or write to another place"
    if e.filename is None:
        return f"the system refused an operation: {e.strerror or e}"
    return f"{e.filename}: {e.strerror or e}; make it readable and writable for this user"


def _goes_on(ctx: click.Context) -> str:
    """How to continue an interrupted command; empty if it left nothing. ctx.obj: (the file or folder that holds its
    state, the command that continues it)."""
    if ctx.obj is not None and ctx.obj[0].exists():
        return f"; nothing is lost, `{ctx.obj[1]}` continues"
    return ""


def again(verb: str, run: Path, options: Mapping[str, Any]) -> str:
    """The complete command that continues a run, with the referee and the flags that it needs again."""
    from toprope.plugins import is_target

    words = ["toprope", verb, str(run)]
    if options.get("referee") is not None:
        words += ["--referee", options["referee"]]
    if options.get("referee_token_file") is not None:
        words += ["--referee-token-file", str(options["referee_token_file"])]
    words += ["--i-trust-the-candidates"] * bool(options.get("trust"))
    if verb == "unseal" and options.get("beacon") is not None:
        words += ["--beacon", options["beacon"]]
    if verb == "resume" and options.get("executor") not in (None, "local"):
        words += ["--executor", options["executor"]]
    if verb == "resume" and is_target(options.get("climber") or ""):
        words += ["--climber", options["climber"]]  # a run directory never causes code to be loaded
    words += ["--unseal"] * (verb == "resume" and bool(options.get("unseal")))
    return shlex.join(words + ["--report"] * bool(options.get("report")))


def complain(message: str) -> None:
    """Prints one line on stderr, cleaned of control characters and shortened in the middle to LINE_MAX."""
    from toprope.view.text import clean

    line = "toprope: " + clean(" ".join(message.split()))
    if len(line) > LINE_MAX:  # a long quoted value: what was expected and the remedy stand at the end
        line = f"{line[: LINE_MAX // 2]} … {line[-LINE_MAX // 2 :]}"
    click.echo(line, err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="toprope")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Climb alignment problems with very many cheap experiments and a score that stays trustworthy."""
    if ctx.invoked_subcommand not in SERVERS:
        signal.signal(signal.SIGTERM, _terminated)
    if os.environ.get("TOPROPE_TASKS"):
        from toprope.tasks import registry

        for line in registry.faults():
            complain(f"warning: {line}")


SERVERS = ("mcp", "referee", "serve")  # their loops handle SIGTERM themselves


def _terminated(*_: object) -> None:
    """SIGTERM acts like Ctrl-C, once: a second one does not disturb the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def emit(result: Any, as_json: bool, lines: Callable[[Any], str]) -> None:
    """Prints the result on stdout: JSON for programs, or text for people. lines: makes the text. Every string is
    cleaned first, because all that ledgers, candidates, tasks, services and providers wrote passes through here."""
    from toprope.view.text import clean_all, printable

    if as_json:
        output.say(json.dumps(result, allow_nan=False, default=str))
    else:
        output.say(printable(lines(clean_all(result))))


def builtins(result: Any) -> Any:
    """A typed result as JSON knows it: numbers of NumPy as plain ones."""
    import msgspec

    return msgspec.to_builtins(result, enc_hook=lambda value: value.item())


def proven(trust: bool, wish: str | None) -> Any:
    """Self-tests and returns the tier that the user wishes, or the best one; "none" if the user trusts candidates."""
    from toprope.sandbox import ulimits

    ulimits.require()  # before NumPy is loaded, which crashes if memory is too small for it
    from toprope.sandbox.selftest import Choice, best_tier

    return Choice("none") if trust else best_tier(wish)
