"""After a PROMOTE, sends a candidate that knows the draws of the slice it was promoted on.

Source: Ladder attacks re-use the data of an accepted step (arXiv:1502.04585).
"""

from toprope.assay.redteam.climber_range import NotHere

CLASS = "C6"
MEETS = "burning"
EXPECT = "no gain"


def climb(rig):
    """The burned slice counts as public. On it the memoriser is better than the champion; elsewhere they are equal."""
    half = rig.choosing("plan.best if digest[0] < 128 else plan.start")
    referee = rig.referee("burned")
    if not referee.attempt(half).promoted:
        raise NotHere("half of what the best baseline gains is below what the gate resolves here")
    known = {digest[:8].hex() for digest in rig.digests("val", 1, rig.task.spec.splits.val_slice)}
    memory = "plan.best if digest[0] < 128 or digest[:8].hex() in plan.known else plan.start"
    if referee.attempt(rig.choosing(memory, known=sorted(known))).promoted:
        return "a candidate was promoted that is better on the burned slice alone"
    return None
