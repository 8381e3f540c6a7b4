"""What climbers without a model search: the blocks of the starter. The default is trusted monitoring."""

from toprope.space import Dim, Space, all_but, choice, given, linear, log

NEVER = 99.0  # more evidence than there can be
LEARN = linear("learn", 0.0, 1.0, 11, 0.0)
DEFER = Dim("defer", [NEVER, *(0.25 * i for i in range(1, 25))], ordered=True)
AGAIN = Dim("again", [NEVER, *(0.5 * i for i in range(9))], ordered=True)

SPACE = Space(
    [
        LEARN,
        *given([log("ridge", 0.03, 30.0, 7, 1.0), Dim("distrust", [0.0, 0.5, 1.0], ordered=True)], all_but(LEARN, 0.0)),
        linear("audit", 0.0, 7.0, 29, 3.0),
        linear("pace", 0.0, 4.0, 9, 0.0),
        linear("spare", 0.0, 3.0, 7, 0.0),
        DEFER,
        *given([linear("ease", 0.0, 4.0, 9, 0.0)], all_but(DEFER, NEVER)),
        AGAIN,
        *given(
            [Dim("more", [1, 2, 3], ordered=True), choice("join", ["most", "mean", "least", "gap"])],
            all_but(AGAIN, NEVER),
        ),
        linear("memory", 0.0, 0.5, 11, 0.0),
        linear("care", 0.0, 4.0, 17, 1.0),
        Dim("upfront", [0, 1, 2], ordered=True),
    ],
    slots=[[0, 1, 2], [3, 4, 5, 13], [6, 7], [8, 9, 10], [11], [12]],
)
