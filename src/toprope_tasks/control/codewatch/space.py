"""What climbers without a model search: the blocks of the starter. The default looks for numbers the spec lacks."""

from toprope.space import Dim, Space, all_but, choice, given

NUMBERS = Dim("numbers", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], 3, ordered=True)
WORDS = Dim("words", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], ordered=True)
BACK = Dim("back", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], ordered=True)
SURPRISING = all_but(NUMBERS, 0.0)

SPACE = Space(
    [
        NUMBERS,
        *given([choice("context", ["none", "code", "both"]), Dim("near", [0, 1, 2, 4], ordered=True)], SURPRISING),
        WORDS,
        BACK,
        *given([Dim("rounds", [1, 2, 4, 8, 16], ordered=True)], all_but(WORDS, 0.0), all_but(BACK, 0.0)),
        Dim("smooth", [0.01, 0.03, 0.1, 0.3, 1.0, 3.0], 4, ordered=True),
        choice("by", ["whole", "rule"]),
        choice("pool", ["mean", "sum", "max"]),
        *given([Dim("caught", [0.0, 0.25, 0.5, 1.0], ordered=True)], SURPRISING),
    ],
    slots=[[0, 1, 2], [3, 4, 5], [6], [7, 8], [9]],
)
