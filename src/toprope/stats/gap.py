"""Dev-against-hidden gap: an anytime-valid e-process, shown to the operator only (to a climber it would be a leak).

Null: "in the mean, dev is at most `margin` above hidden". Pairs one dev with one hidden score of the same candidate;
under the null E >= 20 ever happens with probability at most 5 %, however often one looks. A dev set that was climbed
on *is* inflated by selection, so a flag says `overfit`, a property of the score, and never by itself `cheating`.
"""

from __future__ import annotations

import math

import numpy as np

from toprope.errors import UsageError
from toprope.stats.betting import Bet
from toprope.types import Floats


class Gap:
    """Feed it pairs as they come; `flagged` stays True once the evidence was there."""

    def __init__(self, clip: float, margin: float = 0.0, alpha: float = 0.05) -> None:
        """clip: differences are clipped to [-clip, clip]; margin >= 0: the gap one tolerates, same unit."""
        if not 0 <= margin < clip:
            raise UsageError(f"margin = {margin}; expected a number in [0, clip = {clip})")
        self.clip, self.margin = clip, margin
        # d - margin with d in [-clip, clip] reaches -(clip + margin); a tighter range would cut losses and be invalid
        self._bet = Bet(clip + margin, math.log(1 / alpha), futility=False)

    def update(self, dev: Floats, hidden: Floats) -> bool:
        """Adds pairs (n,), (n,) and says whether the gap is flagged by now."""
        if np.shape(dev) != np.shape(hidden):
            raise UsageError(f"dev has shape {np.shape(dev)}, hidden {np.shape(hidden)}; expected pairs")
        self._bet.update(np.clip(np.asarray(dev) - hidden, -self.clip, self.clip) - self.margin)
        return self.flagged

    @property
    def flagged(self) -> bool:
        return self._bet.promoted

    @property
    def log_e(self) -> float:
        """Log e-value now; where it was flagged, its value at that moment."""
        return self._bet.log_e
