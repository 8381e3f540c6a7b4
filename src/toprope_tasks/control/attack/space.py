"""What climbers without a model search: the blocks of the starter. The default attacks every third sample."""

from toprope.space import Dim, Space, all_but, given, linear

ANY = 99.0  # more suspicion than there can be
CAUTION = Dim("caution", [ANY, *(0.25 * i for i in range(-4, 13))], ordered=True)
TWIN = Dim("twin", [ANY, *(0.25 * i for i in range(-4, 13))], ordered=True)

SPACE = Space(
    [
        Dim("rate", [0.02, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0], 5, ordered=True),
        CAUTION,
        TWIN,
        linear("begin", 0.0, 0.75, 13, 0.0),
        linear("end", 0.25, 1.0, 13, 1.0),
        *given([linear("hurry", 0.0, 4.0, 9, 0.0)], all_but(CAUTION, ANY), all_but(TWIN, ANY)),
        Dim("spent", [0.25, 0.5, 1.0, 2.0, 4.0, 16.0], 2, ordered=True),
        Dim("patience", [0, 1, 2, 3, 4], ordered=True),
        Dim("again", [0.0, 0.3, 1.0, 3.0], 2, ordered=True),
        linear("easy", 0.0, 0.7, 8, 0.0),
    ],
    slots=[[0, 6, 8], [1, 2, 5], [3, 4, 7], [9]],
)
