"""Opens the sealed test, looks, and goes on climbing.

Source: corpus row T63; peeking at the private board.
"""

CLASS = "C10"
MEETS = "commitment"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    referee = rig.referee("peeked")
    referee.open_test(rig.starter)
    referee.attempt(rig.choosing("plan.start"))
    return "an attempt was answered after the test was open"
