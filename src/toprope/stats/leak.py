"""The leak meter: bits disclosed about a hidden split, and how far they could have inflated a mean on it.

If a climber's whole transcript about n draws can be written in b bits of a prefix code, any candidate it could have
chosen has true mean >= hidden mean - sqrt((b ln 2 + ln(1/delta)) / (2 n)): Hoeffding for scores in
[0, 1] plus a union bound weighted by 2^-b (Kraft). Sources: Dwork et al. 2015 (arXiv:1506.02629), description length.
It bounds inflation of a mean of bounded scores, not of other statistics.
"""

from __future__ import annotations

import math

from toprope.errors import UsageError

NO_BITS = -math.log2(1 - 2.0**-6)  # the sparse code for one-bit answers: NOT YET 0.023 bits,
YES_BITS = 6.0  # PROMOTE 6 bits; 2^-0.023 + 2^-6 = 1, so the code is complete
RELEASE_SLOTS = 5  # moments at which an answer may leave
LATE_BITS = 8  # of an answer that missed the first slot, and one more per further slot; on time 0.0056 bits


def release_bits(release_slot: int) -> float:
    """Bits that an answer's release slot, 0..RELEASE_SLOTS-1, discloses; 2^-bits over all slots sum to 1."""
    if not 0 <= release_slot < RELEASE_SLOTS:
        raise UsageError(f"release slot {release_slot}; expected 0 to {RELEASE_SLOTS - 1}")
    return (
        -math.log2(1 - 2.0**-LATE_BITS)
        if release_slot == 0
        else float(LATE_BITS + min(release_slot, RELEASE_SLOTS - 2))
    )


def answer_bits(promoted: bool, release_slot: int) -> float:
    """Bits of one answer of the gate, by its content and its time."""
    return (YES_BITS if promoted else NO_BITS) + release_bits(release_slot)


def inflation(bits: float, n: int, delta: float = 0.05, span: float = 1.0) -> float:
    """The most by which disclosed bits can have inflated a mean of n scores of range `span`, except with probability
    delta."""
    if bits < 0 or n < 1 or not 0 < delta < 1:
        raise UsageError(f"bits={bits} n={n} delta={delta}; expected bits >= 0, n >= 1, delta in (0, 1)")
    return span * math.sqrt((bits * math.log(2) + math.log(1 / delta)) / (2 * n))


def promotions_left(bits: float, n: int, tolerance: float, delta: float = 0.05) -> int:
    """How many further promotions a hidden sample of n items carries after `bits` were disclosed about it: as many as
    keep `inflation` of a score in [0, 1] at the tolerance or below."""
    budget = (2 * n * tolerance**2 - math.log(1 / delta)) / math.log(2)
    return max(0, math.floor((budget - bits) / answer_bits(True, 0)))


def number_bits(distinct: int) -> float:
    """Bits of one disclosed number that can take this many values: an exact accuracy on n items costs log2(n + 1)."""
    if distinct < 1:
        raise UsageError(f"distinct = {distinct}; a number takes at least one value")
    return math.log2(distinct)


class LeakMeter:
    """Counts the bits disclosed about one hidden slice and refuses disclosures beyond the budget."""

    def __init__(self, budget: float) -> None:
        """budget: in bits; the report may promise `inflation(budget, n)`."""
        self.budget = budget
        self.bits = 0.0

    def allows(self, bits: float) -> bool:
        """Whether this disclosure still fits. Ask with the most expensive answer *before* computing it, because a
        refusal that depends on the answer discloses it."""
        return self.bits + bits <= self.budget

    def disclose(self, bits: float) -> None:
        """Records a disclosure. Raises UsageError, and records nothing, if it does not fit."""
        if not self.allows(bits):
            raise UsageError(f"{bits:.3g} bits on top of {self.bits:.3g} exceed the leak budget of {self.budget:.3g}")
        self.bits += bits
