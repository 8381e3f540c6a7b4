"""How often the gate promotes by luck, for as many attempts as one likes: the reduced simulation.

The e-process of `stats.betting` is a likelihood ratio: with bets lambda, prod(1 + lambda S) is dQ/dP for the law Q
under which a draw of sign S is (1 + lambda S) times as likely. So sampling from the mixture Q and weighting each path
by 1 / E at the moment it is promoted gives the probability of a false promotion under the null P, however small, from
a few thousand paths (importance sampling with the test's own martingale; Siegmund 1976). Independent candidates are the
worst case of a union bound, so k attempts are wrong with probability 1 - prod(1 - p_i).
"""

from __future__ import annotations

import math

import numpy as np

from toprope.stats.betting import BETS, Bet, log_e_path
from toprope.stats.spending import attempt_level
from toprope.types import Floats


def tail(levels: Floats, n: int, differ: float, paths: int, seed: int = 0) -> Floats:
    """P(promoted) under the null for each log threshold of `levels` (m,): items differ with this probability."""
    rng = np.random.default_rng([seed, n])
    bets = rng.choice(BETS, paths)[:, None]
    there = rng.random((paths, n)) < differ
    signs = np.where(rng.random((paths, n)) < (1 + bets) / 2, 1.0, -1.0) * there
    path, _ = log_e_path(signs, 1.0)
    hopeless = path < Bet.FUTILE_BELOW
    hopeless[:, : Bet.FUTILE_AFTER - 1] = False
    path[np.logical_or.accumulate(hopeless, axis=1)] = -np.inf
    highest = np.maximum.accumulate(path, axis=1)
    out = np.zeros(len(levels))
    for i, level in enumerate(levels.tolist()):
        first = np.argmax(highest >= level, axis=1)  # 0 also where it never is
        promoted = highest[:, -1] >= level
        out[i] = np.exp(-path[np.arange(paths), first][promoted]).sum() / paths
    return out


def false_promotion(k: int, n: int, differ: float, paths: int = 4000, seed: int = 0) -> float:
    """Probability that any of k independent candidates without skill is promoted on the first slice of a first run."""
    at = np.unique(np.geomspace(1, k, 400).round().astype(np.int64))  # attempts at which the tail is computed
    p = tail(np.array([attempt_level(1, 1, int(i)) for i in at]), n, differ, paths, seed)
    between = np.diff(at, append=k + 1)  # each stands for those up to the next, which spend less: an upper bound
    return float(-math.expm1(np.sum(between * np.log1p(-p))))


def direct(k: int, n: int, differ: float, campaigns: int, seed: int = 0) -> int:
    """Campaigns with a false promotion among k independent candidates, every item of every candidate simulated."""
    wrong, evidence = 0, table(n)
    rng = np.random.default_rng([seed, k, n])
    levels = np.array([attempt_level(1, 1, i) for i in range(1, k + 1)])
    for _ in range(campaigns):
        wrong += any(_any_promoted(rng, levels[s : s + 1024], evidence, differ) for s in range(0, k, 1024))
    return wrong


def table(n: int) -> Floats:
    """(n + 1, n + 1) log e-value after so many items won (row) and lost (column): where every difference is -1, 0 or 1
    the order does not matter, and a look-up replaces 40 products an item."""
    won, lost = np.log1p(BETS), np.log1p(-BETS)
    counts = np.arange(n + 1.0)[:, None]
    top = np.full((n + 1, n + 1), -np.inf)
    for up, down in zip(won, lost, strict=True):
        top = np.logaddexp(top, counts * up + counts.T * down)
    return top - math.log(len(BETS))


def _any_promoted(rng: np.random.Generator, levels: Floats, evidence: Floats, differ: float) -> bool:
    """Each level's candidate against it; items are drawn in 1/65,536 steps of probability."""
    n = len(evidence) - 1
    dice = rng.integers(0, 1 << 16, (len(levels), n), dtype=np.uint16)
    edge = round(differ * (1 << 15))
    won = np.cumsum(dice < edge, axis=1, dtype=np.int32)
    lost = np.cumsum(dice >= (1 << 16) - edge, axis=1, dtype=np.int32)
    path = np.take(evidence, won * (n + 1) + lost)
    hopeless = path < Bet.FUTILE_BELOW
    hopeless[:, : Bet.FUTILE_AFTER - 1] = False
    return bool(((path >= levels[:, None]) & ~np.logical_or.accumulate(hopeless, axis=1)).any())
