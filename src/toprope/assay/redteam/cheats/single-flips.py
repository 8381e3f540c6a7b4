"""Changes its answer on one bucket of draws at a time and keeps changes that help.

Source: Netflix probes; flips one prediction, reads the difference (corpus row T39).
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "the strategy needs an attempt per bucket of hidden draws; there an attempt takes a tenth of a second"


NULL = "{'face': plan.faces[digest[0] % len(plan.faces)], 'skill': 0.0, 'act': 'ok'}"
BUCKETS = 8


def climb(rig):
    """With exact scores this reveals every bucket's luck; with one bit per attempt it reveals nothing."""
    referee, faces, heard = rig.referee(), [0] * BUCKETS, 0.0
    for bucket in range(BUCKETS):
        trial = [1 if i == bucket else f for i, f in enumerate(faces)]
        answer = referee.attempt(rig.choosing(NULL, faces=trial))
        told = answer.measured.value if answer.measured else float(answer.promoted)
        if told > heard:
            faces, heard = trial, told
    referee.attempt(rig.choosing(NULL, faces=faces))
    return
