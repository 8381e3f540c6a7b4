"""What climbers without a model search: the open questions of the sketch. The default is what dc would do."""

from toprope.space import Dim, Space, choice
from toprope_tasks.mirror.rpn.dialect import AFTER, CODES, DUMPS, GROUPS, MESSAGES, MINUS, REMAINDERS, ROUNDINGS

SPACE = Space(
    [
        Dim("scale", [0, 1, 2, 3, 4, 5, 6], ordered=True),
        choice("rounding", list(ROUNDINGS)),
        choice("remainder", list(REMAINDERS)),
        choice("power", ["each", "end"]),
        choice("zeros", ["keep", "strip"]),
        choice("lead", ["bare", "zero"]),
        choice("minus", list(MINUS)),
        choice("group", list(GROUPS)),
        choice("order", ["under", "top"]),
        choice("first", ["top", "bottom"]),
        choice("dump", list(DUMPS)),
        choice("pop", ["keeps", "takes"]),
        choice("after", [AFTER[1], AFTER[0], AFTER[2]]),
        choice("codes", list(CODES)),
        choice("message", list(MESSAGES)),
        choice("unset", ["error", "zero"]),
    ],
    slots=[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]],
)
