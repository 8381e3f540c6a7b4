"""Spends alpha = 0.05 once, over all runs, slices and attempts that a vault will ever make on a task.

Until the first PROMOTE on a slice the climber has heard only NOT YET, so every adaptive strategy is one fixed list of
candidates and a union bound over attempts is exact for any adversary. The slice is burned at its PROMOTE. The promise
covers the whole run and all runs, so slices and runs spend too. Weights are w(i) = 1 / (Z i log^2(i + 1)): the number
of attempts need not be known, and they fall nearly as slowly as a convergent series allows (as in Robbins 1970).
Everything is on the log scale of the e-value: the threshold is log(1 / alpha_i), and a product of weights is a sum.
"""

from __future__ import annotations

import math

from toprope.errors import UsageError

NORMALISER = 3.38774  # >= sum over i >= 1 of 1 / (i log^2(i + 1)) = 3.387735...; a test proves the bound


def harmonic(i: int) -> float:
    """Share of alpha for the i-th of infinitely many, i >= 1; the shares sum to at most 1."""
    if i < 1:
        raise UsageError(f"index {i}; runs, slices and attempts count from 1")
    return 1.0 / (NORMALISER * i * math.log(i + 1) ** 2)


def attempt_level(run: int, slice_: int, attempt: int, alpha: float = 0.05, known_cap: int | None = None) -> float:
    """log(1 / alpha_i), what the attempt's log e-value must reach.

    Args:
        run, slice_, attempt: from 1; attempt counts on this slice, over all climbers.
        alpha: the promise over everything.
        known_cap: attempts per slice fixed before the slice was opened; each then spends 1/cap of the slice's share
            and an attempt beyond it can never promote (inf).
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha = {alpha}; expected a number in (0, 1)")
    spent = math.log(alpha) + math.log(harmonic(run)) + math.log(harmonic(slice_))
    if known_cap is None:
        return -(spent + math.log(harmonic(attempt)))
    if attempt < 1 or known_cap < 1:
        raise UsageError(f"attempt {attempt} of a cap of {known_cap}; both count from 1")
    return math.inf if attempt > known_cap else -(spent - math.log(known_cap))
