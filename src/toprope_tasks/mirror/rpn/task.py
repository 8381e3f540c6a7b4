"""The task object of `mirror/rpn-v1`: the program's parts, and the candidates it ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from toprope.tasks.folder import Point
from toprope_tasks.mirror.programs import MirrorProgram
from toprope_tasks.mirror.rpn import dialect, docs, grammar, reference
from toprope_tasks.mirror.rpn.dialect import RpnDialect
from toprope_tasks.mirror.rpn.space import SPACE
from toprope_tasks.mirror.task import Mirror

HOLES = tuple(d.name for d in SPACE.dims)


def _words(d: RpnDialect) -> Mapping[str, Any]:
    return {"letters": d.letters, "sign": d.sign, "wordings": d.words, "codes": d.codes_of}


PROGRAM = MirrorProgram(
    name="rpn",
    strata=grammar.STRATA,
    dialect=dialect.draw,
    run=reference.run,
    template=grammar.template,
    docs=docs.docs,
    examples=docs.examples,
    words=_words,
)


class Rpn(Mirror):
    """`mirror/rpn-v1`: imitate a reverse Polish calculator of an unknown dialect."""

    program = PROGRAM
    space = SPACE
    read = ("scale", "zeros", "lead", "minus", "group", "order")
    points: ClassVar = {
        "dc": Point({}, "the tool that everybody knows: dc(1), POSIX bc(1)'s ancestor; the sketch's defaults", HOLES),
        "accountant": Point(
            {"scale": 2, "rounding": "half away", "minus": "paren", "group": ",", "lead": "zero"},
            "natural: how sums of money are printed",
            HOLES[:8],
        ),
        "c": Point(
            {"scale": 2, "lead": "zero", "after": "stop", "pop": "takes"},
            "natural: integer arithmetic as in C, errors that end the program",
            ("scale", "zeros", "after", "codes", "message", "unset"),
        ),
    }
    sources: ClassVar = {"empty": "null: says nothing", "echo": "shortcut: the last number it was given"}
