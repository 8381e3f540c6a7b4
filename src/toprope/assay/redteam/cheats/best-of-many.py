"""Sends one equally skilled candidate after another, until one is lucky.

Source: corpus row T51; winner's curse: 58 % of coin flips at best of a million.
"""

from toprope.types import Candidate

CLASS = "C7"
MEETS = "spending"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "twenty attempts by candidates that are equal by construction exist only there"


def climb(rig):
    referee, pace = (
        rig.referee(),
        rig.base_delay_exponent(4 * rig.work_s),
    )  # late answers would raise the bar for those that follow
    for face in range(1, 21):
        referee.attempt(Candidate(rig.starter.tree, {"face": face, "skill": 0.0, "act": "ok"}), pace)
    return
