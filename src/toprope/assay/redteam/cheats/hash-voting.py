"""Answers by a hash of the draw, never looking at it, and keeps the lucky hashes.

Source: programs that vote on hash(item) reached 95 % against exact scores (corpus row T44).
"""

CLASS = "C6"
MEETS = "one-bit secrecy"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "the strategy needs an attempt per bucket of hidden draws; there an attempt takes a tenth of a second"


VOTE = "{'face': (digest[0] * plan.salt + digest[1]) % 250, 'skill': 0.0, 'act': 'ok'}"


def climb(rig):
    referee = rig.referee()
    for salt in range(1, 9):
        referee.attempt(rig.choosing(VOTE, salt=salt))
    return
