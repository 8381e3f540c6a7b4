"""The task object of `mirror/calgrid-v1`: the program's parts, and the candidates it ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from toprope.tasks.folder import Point
from toprope.tasks.mirror.calgrid import dialect, docs, grammar, reference
from toprope.tasks.mirror.calgrid.dialect import Dialect
from toprope.tasks.mirror.calgrid.space import SPACE
from toprope.tasks.mirror.dice import Dice
from toprope.tasks.mirror.packing import Answer, Case
from toprope.tasks.mirror.programs import Leaves
from toprope.tasks.mirror.task import Mirror

HOLES = tuple(d.name for d in SPACE.dims)


class Program:
    """programs.Program."""

    name = "calgrid"
    strata: tuple[str, ...] = grammar.STRATA

    def dialect(self, dice: Dice) -> Dialect:
        return dialect.draw(dice)

    def run(self, d: Dialect, case: Case) -> Answer:
        return reference.run(d, case)

    def template(self, d: Dialect, stratum: str, dice: Dice) -> Leaves:
        return grammar.template(d, stratum, dice)

    def docs(self, d: Dialect) -> str:
        return docs.docs(d)

    def examples(self, d: Dialect) -> list[Case]:
        return docs.examples(d)

    def words(self, d: Dialect) -> Mapping[str, Any]:
        facts = {"days": d.days, "months": d.months, "long": d.long, "cycle": d.cycle}
        return {**facts, "wordings": d.words, "codes": d.codes_of, "usage": reference.USAGE}


class Calgrid(Mirror):
    """`mirror/calgrid-v1`: imitate a calendar printer of an unknown calendar and layout."""

    program = Program()
    space = SPACE
    read = ("leap", "epoch", "start", "head", "align")
    points: ClassVar = {
        "cal": Point({}, "the tool that everybody knows: cal(1); the sketch's defaults", HOLES),
        "ncal": Point(
            {"align": "left", "place": "left", "start": 1}, "natural: after ncal(1)", ("epoch", "start", *HOLES[3:9])
        ),
        "iso": Point(
            {"start": 1, "align": "zero", "title": "number", "weeks": "full", "rows": "same"},
            "natural: after ISO 8601",
            ("epoch", "start", "head", "gap", "blank", "weeks", "side"),
        ),
    }
    sources: ClassVar = {"empty": "null: says nothing", "echo": "shortcut: its own arguments"}
