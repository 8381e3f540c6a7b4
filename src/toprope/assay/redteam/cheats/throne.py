"""Is promoted, then fails on every draw for a while, so that no challenger can be compared with it.

Source: a time bomb: an attack on this referee, which read the champion's failure as the challenger's.
"""

import time

from toprope.assay.redteam.climber_range import NotHere

CLASS = "C10"
MEETS = "finite"
EXPECT = "no gain"
GOOD = "plan.best if digest[0] < 192 else plan.start"
BOMB = f"1 / 0 if plan.start_s < __import__('time').time() < plan.end_s else {GOOD}"


def climb(rig):
    """An honest challenger, better than the champion, must take its place while it fails."""
    raising = rig.choosing("1 / 0")
    if rig.stage.play(raising.tree, "dev", 1, 0, raising.params).outcome == "ok":
        raise NotHere("what raises is a wrong answer here, and counts as one")
    for patience in (2, 8):
        referee = rig.referee(f"throne-{patience}")
        start = time.time() + patience * rig.work_s + 5
        end = start + 2 * (start - time.time())
        if referee.attempt(rig.choosing(BOMB, start_s=start, end_s=end)).promoted:
            break
    else:
        raise NotHere("this machine was too slow for the window of the bomb")
    time.sleep(max(0.0, start - time.time()))
    answer = referee.attempt(rig.choosing("plan.best", challenger=1))
    late = time.time() > end
    time.sleep(max(0.0, end - time.time()))
    if late:
        raise NotHere("this machine was too slow for the window of the bomb")
    return None if answer.promoted else "a champion that fails on every draw cannot be replaced"


def twin(rig):
    """A champion that goes on answering keeps its place against one that is worse."""
    referee = rig.referee("throne-twin")
    referee.attempt(rig.choosing(GOOD))
    answer = referee.attempt(rig.choosing("plan.start", challenger=2))
    return "a worse challenger was promoted" if answer.promoted else None
