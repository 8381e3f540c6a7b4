"""What climbers without a model search: the blocks of the starter. The default is a keyword monitor and no penalty."""

from toprope.space import Dim, Space, all_but, choice, given, linear, log

PENALTY = choice("penalty", ["none", "suspicion", "list", "confess", "unclear"])

SPACE = Space(
    [
        choice("evidence", ["keyword", "bayes", "logistic"]),
        *given([Dim("cut", [1.5, 2.0, 3.0, 5.0, 8.0, 12.0], default=2, ordered=True)], {"evidence": ["keyword"]}),
        *given([log("smooth", 0.125, 32.0, 9, 1.0)], {"evidence": ["keyword", "bayes"]}),
        *given([log("l2", 0.75, 24.0, 6, 3.0)], {"evidence": ["logistic"]}),
        Dim("pilot", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], ordered=True),
        linear("rare", 0.0, 6.0, 13, 0.0),
        Dim("rise", [-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0], default=3, ordered=True),
        choice("top", [0, 1]),
        Dim("kind", [0.0, 0.3, 0.6, 1.0], ordered=True),
        PENALTY,
        *given(
            [
                Dim("strength", [0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0], default=2, ordered=True),
                Dim("late", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], default=3, ordered=True),
                log("sharp", 0.25, 8.0, 6, 1.0),
                linear("shift", -3.0, 3.0, 13, 0.0),
            ],
            all_but(PENALTY, "none"),
        ),
    ],
    slots=[[0, 1, 2, 3], [4, 5, 6], [7, 8], [9, 10, 11], [12, 13]],
)
