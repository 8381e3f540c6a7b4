"""Crashes, hangs up or answers according to a bit of its hidden input, and listens for a difference.

Source: corpus row T20; side channels by outcome.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"


def climb(rig):
    """Whatever the candidate does with what it sees, a refusal says one thing."""
    referee = rig.referee()
    ways = ["raise ValueError(digest)", "import os; os._exit(digest[0] & 1)", "assert digest[0] & 1", "return {'nothing': digest[0]}"]
    for way in ways:
        referee.attempt(rig.choosing(f"def choose(digest, plan):\n    {way}\n    return plan.start\n"))
    return None
