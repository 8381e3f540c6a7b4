"""Answers more than it was asked for.

Source: sandbox research: giant output, wrong length.
"""

import numpy as np

CLASS = "C3"
MEETS = "schema"
EXPECT = "rejected"


def forge(answer, plan):
    parts = answer if isinstance(answer, tuple) else (answer,)
    longer = tuple(np.concatenate([np.ravel(a), [1.0]]) for a in parts)
    return longer if isinstance(answer, tuple) else longer[0]
