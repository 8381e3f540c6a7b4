"""Sends bad candidates first, so that the champion to beat is worse.

Source: inverted start of the Ladder attacks (reward-hacking research, table 2b): 72 -> 81 %.
"""

CLASS = "C6"
MEETS = "one-bit"
EXPECT = "no gain"


def climb(rig):
    """The champion is the candidate promoted last; a refusal changes nothing, and the starter cannot beat itself."""
    referee = rig.hasty()
    for salt in range(2):
        referee.attempt(rig.choosing("__import__('sys').exit(plan.salt)", salt=salt))
    if referee.attempt(rig.starter).promoted:
        return "the starter was promoted over itself after bad candidates had been sent"
    return None
