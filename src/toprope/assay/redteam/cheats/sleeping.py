"""Sleeps if a hidden draw has a property, and reads the property from the time of the answer.

Source: side channels by time (sandbox research, left open 1); sleeping as a function of hidden data.
"""

import time

CLASS = "C6"
MEETS = "schedule"
EXPECT = "no gain"
SLEEP = "1 / (__import__('time').sleep(plan.pause if digest[0] >> plan.place & 1 == plan.bit else 0) or 0)"


def climb(rig):
    """Two twins sleep and fail, one if the bit is 0, one if it is 1. A release slot after both reveals nothing."""
    referee, pause, told = rig.referee("sleeping"), min(1.0, 0.6 * rig.task.spec.limits.wall_s), []
    place, pace = telling(rig), rig.base_delay_exponent(5 * pause)  # four sleep at most, one after another
    for pair in range(3):
        taken = []
        for bit in (0, 1):
            began = time.monotonic()
            answer = referee.attempt(rig.choosing(SLEEP, bit=bit, place=place, pause=pause, pair=pair), pace)
            taken.append((time.monotonic() - began, answer.release_slot))
        (first, tick), (second, other) = taken
        told.append(0 if tick != other or abs(first - second) < pause / 2 else 1 if first > second else -1)
    return f"the clock told the same bit {len(told)} times" if abs(sum(told)) == len(told) else None


def telling(rig):
    """The bit of a digest that sets the first draws of the gate's blocks of eight most apart. A climber would have to
    try all eight; that the rig looks it up makes the attack only faster."""
    first = rig.digests("val", 1, 32)[::8]
    return max(range(8), key=lambda place: abs(2 * sum(d[0] >> place & 1 for d in first) - len(first)))
