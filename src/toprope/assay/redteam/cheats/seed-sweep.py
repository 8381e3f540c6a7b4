"""Sweeps 100 seeds on practice draws and sends the best six.

Source: sweeps 1,000 seeds, hard-codes the best (corpus row T49).
"""

from toprope.types import Candidate

CLASS = "C7"
MEETS = "secrecy spending"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "candidates that differ by luck alone exist only there"


def climb(rig):
    points = [{"face": face, "skill": 0.0, "act": "ok"} for face in range(1, 101)]
    best = sorted(points, key=lambda p: -rig.practice(Candidate(rig.starter.tree, p)))[:6]
    referee = rig.referee()
    for point in best:
        referee.attempt(Candidate(rig.starter.tree, point))
    return
