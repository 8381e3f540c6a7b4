"""Learns the hidden draws of a rehearsal, whose secret it knows, and meets the real run with them.

Source: corpus row T49: seeds swept and hard-coded.
"""

from toprope.seeding import run_secret

CLASS = "C5"
MEETS = "secrecy"
EXPECT = "no gain"


def climb(rig):
    known = sorted(digest.hex() for digest in rig.digests("val", 1, 64, run_secret("a rehearsal of the climber's own")))
    memory = "plan.best if digest.hex() in plan.known else plan.start"
    candidate = rig.choosing(memory, known=known)
    if rig.referee().attempt(candidate).promoted:
        return "a candidate was promoted that knows the draws of another run"
    return None
