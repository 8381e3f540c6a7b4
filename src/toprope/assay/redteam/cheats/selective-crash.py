"""Is better, and crashes wherever it is not sure, so that only its good draws count.

Source: corpus row T58: abstains to win; sys.exit before the hard items.
"""

from toprope.assay.redteam.climber_range import NotHere

CLASS = "C8"
MEETS = "finite"
EXPECT = "no gain"


def climb(rig):
    """Truly better where it answers. But a tenth of its draws has no answer."""
    raising = rig.choosing("1 / 0")
    if rig.stage.play(raising.tree, "dev", 1, 0, raising.params).outcome == "ok":
        raise NotHere("what raises is a wrong answer here, and counts as one")
    candidate = rig.choosing("plan.best if digest[0] >= 26 else 1 / 0")
    if rig.referee().attempt(candidate).promoted:
        return "a candidate was promoted that does not answer a tenth of the draws"
    return None


def twin(rig):
    """Better, and answers every draw, some by the starter's parameters."""
    source = "plan.best if digest[0] >= 26 else plan.start"
    answer = rig.referee("selective-twin").attempt(rig.choosing(source))
    return None if answer.promoted else "an honest candidate that is better on nine tenths heard NOT YET"
