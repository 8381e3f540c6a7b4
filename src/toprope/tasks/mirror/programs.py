"""What a program to imitate is: a reference that takes a dialect, its documentation, and a grammar of its cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from toprope.tasks.mirror.dice import Dice
from toprope.tasks.mirror.packing import Answer, Case

Leaves = Callable[[Dice], Case]
"""A template: a skeleton of commands and options, fixed; each call draws its values anew."""


class Example(NamedTuple):
    """One of the documentation's own, with what the reference answers."""

    case: Case
    answer: Answer


class Program(Protocol):
    """A command-line program in a thousand dialects. Pure functions; a dialect is plain frozen data."""

    name: str
    strata: tuple[str, ...]  # features, and classes of error, that a draw is about; drawn alike

    def dialect(self, dice: Dice) -> Any:
        """One of at least 2^40."""

    def run(self, dialect: Any, case: Case) -> Answer:
        """What the reference does."""

    def template(self, dialect: Any, stratum: str, dice: Dice) -> Leaves:
        """A random skeleton about this feature."""

    def docs(self, dialect: Any) -> str:
        """Its manual page, in Markdown: true, though not about every corner."""

    def examples(self, dialect: Any) -> list[Case]:
        """What the manual page shows."""

    def words(self, dialect: Any) -> Mapping[str, Any]:
        """What the manual page gives as tables (letters, names, wordings): the sketch comes with them filled in."""
