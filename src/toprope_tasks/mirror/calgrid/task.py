"""The task object of `mirror/calgrid-v1`: the program's parts, and the candidates it ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from toprope.tasks.folder import Point
from toprope_tasks.mirror.calgrid import dialect, docs, grammar, reference
from toprope_tasks.mirror.calgrid.dialect import CalgridDialect
from toprope_tasks.mirror.calgrid.space import SPACE
from toprope_tasks.mirror.programs import MirrorProgram
from toprope_tasks.mirror.task import Mirror

HOLES = tuple(d.name for d in SPACE.dims)


def _words(d: CalgridDialect) -> Mapping[str, Any]:
    facts = {"days": d.days, "months": d.months, "long": d.long, "cycle": d.cycle}
    return {**facts, "wordings": d.words, "codes": d.codes_of, "usage": reference.USAGE}


PROGRAM = MirrorProgram(
    name="calgrid",
    strata=grammar.STRATA,
    dialect=dialect.draw,
    run=reference.run,
    template=grammar.template,
    docs=docs.docs,
    examples=docs.examples,
    words=_words,
)


class Calgrid(Mirror):
    """`mirror/calgrid-v1`: imitate a calendar printer of an unknown calendar and layout."""

    program = PROGRAM
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
