"""What climbers without a model search: the open questions of the sketch. The default is what cal would do."""

from toprope.space import Dim, Space, choice
from toprope_tasks.mirror.calgrid.dialect import (  # fmt: skip
    ALIGN,
    BLANKS,
    CASES,
    CODES,
    GAPS,
    LEAPS,
    MARKS,
    MESSAGES,
    PLACES,
    TITLES,
    WEEKS,
)

SPACE = Space(
    [
        choice("leap", list(LEAPS), 2),
        choice("epoch", list(range(9))),
        choice("start", list(range(9))),
        Dim("head", [1, 2, 3], 1, ordered=True),
        choice("align", list(ALIGN)),
        choice("gap", list(GAPS)),
        choice("blank", list(BLANKS)),
        choice("title", list(TITLES)),
        choice("place", list(PLACES), 1),
        choice("letters", list(CASES)),
        choice("trail", ["keep", "strip"]),
        choice("rows", ["needed", "same"]),
        choice("weeks", list(WEEKS)),
        choice("side", ["left", "right"]),
        choice("mark", list(MARKS)),
        choice("codes", list(CODES)),
        choice("message", list(MESSAGES)),
    ],
    slots=[[0, 1, 2], [3, 4, 5, 6], [7, 8, 9], [10, 11], [12, 13, 14], [15, 16]],
)
