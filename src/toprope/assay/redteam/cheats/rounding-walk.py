"""Walks to the edge where a rounded score tips, then reads single draws off the tipping.

Source: rounding to two decimals falls in 1,017 queries (reward-hacking research, table 2b).
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "the strategy needs an attempt per bucket of hidden draws; there an attempt takes a tenth of a second"


NULL = "{'face': plan.faces[digest[0] % len(plan.faces)], 'skill': 0.0, 'act': 'ok'}"
BUCKETS = 8


def climb(rig):
    """Two walkers a single bucket apart: where they hear different things, the bucket is read."""
    referee, faces = rig.referee(), [0] * BUCKETS
    for bucket in range(BUCKETS):
        left, right = ([*faces[:bucket], face, *faces[bucket + 1 :]] for face in (1, 2))
        heard = [referee.attempt(rig.choosing(NULL, faces=side)) for side in (left, right)]
        if (heard[0].promoted, heard[0].measured) != (heard[1].promoted, heard[1].measured):
            return f"bucket {bucket} was read: two refusals differ"
    return None
