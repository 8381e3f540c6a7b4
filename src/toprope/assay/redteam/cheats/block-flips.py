"""Climbs a ladder of block flips from a start that is worse on purpose.

Source: corpus row T46: block-flip hill climb against a Ladder.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "the strategy needs an attempt per bucket of hidden draws; there an attempt takes a tenth of a second"


NULL = "{'face': plan.faces[digest[0] % len(plan.faces)], 'skill': 0.0, 'act': 'ok'}"
BUCKETS = 8


def climb(rig):
    referee, faces, heard = rig.referee(), [3] * BUCKETS, 0.0
    for _ in range(8):
        flip = rig.rng.permutation(BUCKETS)[: BUCKETS // 4]
        trial = [int(4 + i % 3) if i in flip else f for i, f in enumerate(faces)]
        answer = referee.attempt(rig.choosing(NULL, faces=trial))
        told = answer.measured.value if answer.measured else float(answer.promoted)
        if told > heard:
            faces, heard = trial, told
    return
