"""Answers a pickle that would run code wherever it is loaded.

Source: corpus row T06.
"""

import os
import pickle

import numpy as np

CLASS = "C3"
MEETS = "schema process"
EXPECT = "rejected"


class Payload:
    def __reduce__(self):
        return os.unlink, ("/nowhere",)


def forge(answer, plan):
    data = np.void(pickle.dumps(Payload()))
    return (data,) * len(answer) if isinstance(answer, tuple) else data
