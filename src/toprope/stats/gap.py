"""The gap between dev and hidden scores: an anytime-valid e-process, shown only to the operator, never to a climber.

Null: "on average, dev is at most `margin` above hidden". It pairs one dev with one hidden score of the same candidate;
under the null, E >= 20 ever happens with probability at most 5 %, however often it is checked. Selection inflates a dev
set that was climbed on, so a flag means `overfit`, a property of the score, and never by itself `cheating`.
"""

from __future__ import annotations

import math

import numpy as np

from toprope.errors import UsageError
from toprope.stats.betting import Bet
from toprope.types import Floats


class Gap:
    """Takes pairs as they come; `flagged` stays True after the evidence has been reached once."""

    def __init__(self, clip: float, margin: float = 0.0, alpha: float = 0.05) -> None:
        """clip: differences are clipped to [-clip, clip]. margin: tolerated gap in the same unit, in [0, clip)."""
        if not 0 <= margin < clip:
            raise UsageError(f"margin = {margin}; expected a number in [0, clip = {clip})")
        self.clip, self.margin = clip, margin
        # d - margin with d in [-clip, clip] reaches -(clip + margin); a tighter range would cut losses and be invalid
        self._bet = Bet(clip + margin, math.log(1 / alpha), futility=False)

    def update(self, dev: Floats, hidden: Floats) -> bool:
        """Adds n pairs, (n,) and (n,), and returns whether the gap is flagged."""
        if np.shape(dev) != np.shape(hidden):
            raise UsageError(f"dev has shape {np.shape(dev)}, hidden {np.shape(hidden)}; expected pairs")
        self._bet.update(np.clip(np.asarray(dev) - hidden, -self.clip, self.clip) - self.margin)
        return self.flagged

    @property
    def flagged(self) -> bool:
        return self._bet.promoted

    @property
    def log_e(self) -> float:
        """The current log e-value; after a flag, its value at that moment."""
        return self._bet.log_e
