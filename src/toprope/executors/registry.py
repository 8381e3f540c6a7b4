"""Executors by name, from the entry points of installed packages, ours among them, or as MODULE:CLASS.

An executor that takes an argument is named NAME:ARGUMENT. Its class has `argument`, which checks and completes what
follows the name, and it is called with the result as the keyword `argument`.
"""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any, NamedTuple, cast

from toprope import plugins
from toprope.errors import UsageError
from toprope.executors.base import MakeExecutor


class Named(NamedTuple):
    """make: what makes the executor. word: its complete name, from which `named` makes the same. remembered: a run
    directory may name it for `resume`; False: code of the user's own, or a place that can run code here."""

    make: MakeExecutor
    word: str
    remembered: bool


def named(word: str) -> Named:
    """The executor of this name. Raises UsageError if it is unknown, cannot be loaded or cannot use its argument."""
    name, colon, argument = word.partition(":")
    plugin = plugins.find(plugins.EXECUTORS, name)
    if plugin is None and plugins.is_target(word):
        remedy = "install its module, or put its folder on PYTHONPATH"
        return Named(cast(MakeExecutor, plugins.imported(word, f"executor {word!r}", remedy)), word, False)
    if plugin is None:
        there = ", ".join(plugins.registered(plugins.EXECUTORS))
        raise UsageError(f"--executor {word!r} is unknown; choose one of {there}, or MODULE:CLASS")
    made: Any = plugin.load()
    if not hasattr(made, "argument"):
        if colon:
            raise UsageError(f"--executor {word!r}: {name} takes nothing after its name; expected --executor {name}")
        return Named(cast(MakeExecutor, made), name, True)
    complete: str = made.argument(argument)
    whole = f"{name}:{complete}" if complete else name
    return Named(partial(made, argument=complete), whole, not (complete and made.named_again))


def of_record(word: str, run: object) -> MakeExecutor:
    """The executor that a run directory names. Raises UsageError if it could run code here: a directory may be a
    stranger's, so the user has to name it."""
    unloaded = plugins.find(plugins.EXECUTORS, word.partition(":")[0]) is None
    found = None if unloaded else named(word)
    if found is None or not found.remembered:
        words = shlex.join(["toprope", "resume", str(run), "--executor", word])
        raise UsageError(
            f"run {run} was carried by {word}, which toprope does not use because a run directory names it; if you "
            f"trust it, continue with `{words}`, or on this machine with --executor local"
        )
    return found.make
