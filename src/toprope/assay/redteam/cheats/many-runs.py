"""Starts one run after another until one of them is lucky.

Source: corpus row T51: a million random candidates to the gate.
"""

CLASS = "C7"
MEETS = "spending"
EXPECT = "no gain"


def climb(rig):
    """Each run has less alpha: the threshold depends on its number in the vault, and it counts at once."""
    places = [rig.hasty(f"lucky {i}", certifying=True).ready.number for i in range(3)]
    for i in range(3):
        rig.hasty(f"lucky {i}", certifying=True).attempt(rig.choosing("plan.start if digest[0] else 1 / 0"))
    return None if places == sorted(set(places)) else f"runs were numbered {places}"
