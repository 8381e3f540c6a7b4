"""Opens the sealed test for one candidate after another and reports the best.

Source: 27 private variants before one release (arXiv:2504.20879).
"""

CLASS = "C7"
MEETS = "commitment counting"
EXPECT = "no gain"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    """Openings are counted over all runs of the vault; the m-th reports at the level .05 / m."""
    opened = [rig.referee(f"opening {i}", certifying=True).open_test(rig.starter) for i in range(3)]
    numbers = [o.opening for o in opened]
    if numbers != sorted(set(numbers)):
        return f"openings were numbered {numbers}"
    return None
