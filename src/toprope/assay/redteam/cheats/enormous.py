"""Answers the largest possible numbers of both signs, so that their difference is not a finite number.

Source: `proxy/reward-model-v1` until its tilt halved rewards first; such a candidate ended the whole run.
"""

import numpy as np

CLASS = "C8"
MEETS = "metric schema"
EXPECT = "no gain | rejected"


def forge(answer, plan):
    whole = answer if isinstance(answer, tuple) else (answer,)
    ends = tuple(np.where(a > np.median(a), 1.7e308, -1.7e308) for a in whole)
    return ends if isinstance(answer, tuple) else ends[0]
