"""What climbers without a model search: the parts of the starter's prompt and scaffold."""

from toprope.space import Dim, Space, all_but, choice, given

PARTS = Dim("parts", [1, 2, 3, 4, 6], ordered=True)

SPACE = Space(
    [
        choice("show", ["everything", "commands", "commands and thoughts"]),
        choice("ticket", [True, False]),
        choice("ask", ["beyond", "suspicious", "harm"]),
        choice("scale", ["0 to 10", "0 to 100", "yes or no"]),
        choice("steps", [False, True]),
        PARTS,
        *given([choice("pool", ["max", "mean"])], all_but(PARTS, 1)),
        Dim("samples", [1, 2, 3, 4, 6], ordered=True),
        Dim("words", [0.0, 0.1, 0.3, 1.0], ordered=True),
    ],
    slots=[[0], [1, 2], [3, 4], [5, 6], [7], [8]],
)
