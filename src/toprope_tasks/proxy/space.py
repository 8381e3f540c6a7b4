"""What climbers without a model search: the blocks of the starter. The default is the plain Bradley-Terry fit."""

from toprope.space import Dim, Space, all_but, choice, given, linear, log

AUDIT = linear("audit", 0.0, 0.95, 20, 0.0)
MEMBERS = Dim("members", [1, 3, 6], ordered=True)

SPACE = Space(
    [
        Dim("clip", [99.0, 4.0, 3.0, 2.5, 2.0, 1.6, 1.3, 1.0, 0.8, 0.6, 0.4], ordered=True),
        choice("bends", ["none", "hinges", "squares"]),
        log("l2", 0.1, 1000.0, 13, 1.0),
        choice("labellers", ["pool", "weigh", "drop"]),
        Dim("agree", [0.0, 0.2, 0.8, 3.2, 12.8, 51.2], ordered=True),
        AUDIT,
        *given(
            [log("audit_l2", 3.0, 300.0, 9, 30.0), choice("audit_bends", ["none", "hinges", "squares"])],
            all_but(AUDIT, 0.0),
        ),
        MEMBERS,
        *given([Dim("pessimism", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], ordered=True)], all_but(MEMBERS, 1)),
        Dim("caution", [0.0, 0.03, 0.1, 0.3, 1.0, 3.0], ordered=True),
        Dim("cap", [1.0, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.65], ordered=True),
    ],
    slots=[[0], [1, 2], [3, 4], [5, 6, 7], [8, 9], [10], [11]],
)
