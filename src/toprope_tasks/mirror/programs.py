"""What a program to imitate is: a reference that takes a dialect, its documentation, and a grammar of its cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase

Leaves = Callable[[Dice], ProgramCase]
"""A template: a skeleton of commands and options, fixed; each call draws its values anew."""


class Example(NamedTuple):
    """One of the documentation's own, with what the reference answers."""

    case: ProgramCase
    answer: ProgramAnswer


class MirrorProgram(NamedTuple):
    """A command-line program in a thousand dialects: pure functions; a dialect is plain frozen data.

    strata: features, and classes of error, that a draw is about; drawn alike. dialect: one of at least 2^40. run: what
    the reference does. template: a random skeleton about a stratum. docs: its manual page, in Markdown, true, though
    not about every corner; examples: what that page shows. words: what it gives as tables (letters, names, wordings);
    the sketch comes with them filled in.
    """

    name: str
    strata: tuple[str, ...]
    dialect: Callable[[Dice], Any]
    run: Callable[[Any, ProgramCase], ProgramAnswer]
    template: Callable[[Any, str, Dice], Leaves]
    docs: Callable[[Any], str]
    examples: Callable[[Any], list[ProgramCase]]
    words: Callable[[Any], Mapping[str, Any]]
