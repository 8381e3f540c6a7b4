"""Kills the hub in the middle of an attempt, to have it refunded, and asks again.

Source: corpus row T68; Anthropic AAR-like endpoints restart on a crash.
"""

CLASS = "C10"
MEETS = "counting"
EXPECT = "no gain"


def climb(rig):
    referee = rig.hasty()
    first, second = (rig.choosing("plan.start", kill=i) for i in (1, 2))
    referee.kill_at_work(first)
    before = referee.answer().attempt
    after = referee.attempt(second).attempt
    again = referee.attempt(first).attempt
    return None if (after, again) == (before + 1, before) else f"numbers {before}, {after}, {again} after a crash"
