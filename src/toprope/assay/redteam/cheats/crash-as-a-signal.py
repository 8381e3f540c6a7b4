"""Crashes, hangs up or answers according to a bit of its hidden input, and listens for a difference.

Source: corpus row T20; side channels by outcome.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"


def climb(rig):
    """Whatever the candidate does with its input, all refusals are the same."""
    referee = rig.hasty()
    ways = (
        "{}[digest]",
        "__import__('os')._exit(digest[0] & 1)",
        "plan.start if digest[0] & 1 else 1 / 0",
        "{'no': 1}",
    )
    for way in ways:
        referee.attempt(rig.choosing(way))
