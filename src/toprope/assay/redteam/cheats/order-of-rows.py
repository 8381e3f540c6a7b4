"""Answers by position, in case the data were written in sorted order.

Source: classic leak of row order and identifiers (Kaggle); BenchJack flaw class "logic gaps".
"""

import numpy as np

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


def forge(answer, plan):
    parts = answer if isinstance(answer, tuple) else (answer,)
    said = np.linspace(0.0, 1.0, parts[0].size).reshape(parts[0].shape).astype(parts[0].dtype)
    return (said, *parts[1:]) if isinstance(answer, tuple) else said
