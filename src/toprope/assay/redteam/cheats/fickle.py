"""Answers by the clock: better at some moments than at others, never the same twice.

Source: behaviour that depends on when it is run, against a referee that runs a candidate once.
"""

CLASS = "C10"
MEETS = "purity"
EXPECT = "no gain"
FICKLE = "plan.best if __import__('time').time_ns() // 1000 % 8 else plan.start"


def climb(rig):
    """Sent to the gate without a look at dev, where its change would show."""
    if rig.referee("fickle").attempt(rig.choosing(FICKLE)).promoted:
        return "a candidate was promoted that is not the same when it runs again"
    return None


def twin(rig):
    """The same answers at every moment."""
    answer = rig.referee("fickle-twin").attempt(rig.choosing("plan.best if plan.always else plan.start", always=1))
    return None if answer.promoted else "an honest candidate that is better heard NOT YET"
