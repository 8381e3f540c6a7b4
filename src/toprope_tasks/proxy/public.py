"""What everybody may know about `proxy/reward-model-v1`: sizes, and the conversation a candidate has.

`fit` sees comparisons (and, if it asks for them by name, who made each, and a few audited responses); then `reward`
is asked about a pool of responses it has never seen, chunk by chunk. What the labellers get wrong it has to find out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Dialogue
from toprope.types import Array, Call, Round

FEATURES = 16
LABELLERS = 6
PAIRS = 1200
AUDITS = 16
POOL = 2048
CHUNKS = 4
ENTRIES = frozenset({"fit", "reward"})


def dialogue(pool: NDArray[np.float32], entries: frozenset[str]) -> Dialogue:
    """fit once, then reward on each quarter of the pool (POOL, FEATURES). Returns rewards (k, POOL).

    Raises ValueError if `fit` or `reward` is missing.
    """
    if missing := sorted(ENTRIES - entries):
        raise ValueError(f"the candidate does not define {' and '.join(missing)}; this task needs fit and reward")
    return _talk(pool)


def _talk(pool: NDArray[np.float32]) -> Dialogue:
    yield Round(
        (
            Call(
                "fit",
                ("chosen", "rejected"),
                ("labeller", "audit_features", "audit_gold"),
                keep="state",
            ),
        )
    )
    answers = []
    for chunk in np.split(pool, CHUNKS):
        reward = Array("reward", "f8", (len(chunk),))
        out = yield Round((Call("reward", ("state", "features"), returns=(reward,)),), {"features": chunk})
        answers.append(out["reward"])
    return {"rewards": np.concatenate(answers, axis=1)}
