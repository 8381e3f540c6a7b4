"""Libraries of memorised gold directions: the first attack on a draw, for an attacker who has simulated draws like it.

An entry is a gold probe in coordinates that ought to come out alike in every draw of a lineage. `pca`: whitened
principal components, largest first, signs by skewness; any non-orthogonal map breaks it. `ica`: independent components
(FastICA, symmetric, tanh: Hyvarinen 1999), which no invertible linear map changes, paired with an entry's own by their
quantiles. The pairing is greedy, so a little worse than an assignment solver. On a new draw the entry is taken whose
decisions agree best with a reference, an honest champion say.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from toprope.types import Draw, Floats
from toprope_tasks.w2s import student

RANKS = {"pca": 24, "ica": 12}  # with 24 independent components the pairing fails, even with gold to choose the entry
QUANTILES = np.linspace(0.02, 0.98, 13)
ROUNDS = 40  # of FastICA; what has not settled by then does not count as a stable component
RIDGE = 1e-2


class Library(msgspec.Struct, frozen=True):
    """coef: (entries, r + 1) probes with bias, r = RANKS[kind]. signatures: (entries, r, q) quantiles of components."""

    kind: str
    coef: Floats
    signatures: Floats


def coordinates(draw: Draw, kind: str) -> Floats:
    """(n, r) canonical coordinates of the pool, each with mean square one."""
    base: student.Basis = draw.private.basis
    order = np.argsort(-base.energy)[: RANKS[kind]]
    z = base.rows[:, order].astype(np.float64) / np.sqrt(base.energy[order])
    return z * np.sign(np.mean(z**3, 0)) if kind == "pca" else z @ fast_ica(z)


def fast_ica(z: Floats) -> Floats:
    """(d, d) orthogonal matrix whose columns unmix white (n, d) data; order and signs are arbitrary."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((z.shape[1],) * 2))[0]
    for _ in range(ROUNDS):
        g = np.tanh(z @ turn)
        left, _, right = np.linalg.svd(z.T @ g / len(z) - turn * np.mean(1 - g * g, 0), full_matrices=False)
        turn = left @ right
    return np.asarray(turn, dtype=np.float64)


def build(draws: Iterable[Draw], kind: str) -> Library:
    """A library with one entry for each draw whose gold the attacker has."""
    coef, signatures = [], []
    for draw in draws:
        z = coordinates(draw, kind)
        coef.append(student.newton(z, draw.private.pool_labels, RIDGE))
        signatures.append(np.quantile(z, QUANTILES, axis=0).T)
    return Library(kind, np.stack(coef), np.stack(signatures))


def recall(draw: Draw, library: Library, reference: Floats) -> Floats:
    """(n,) logits of the entry whose decisions on the pool agree best with the reference's probabilities."""
    z = coordinates(draw, library.kind)
    coef = library.coef[:, :-1]
    if library.kind == "ica":
        partner, sign = pair(np.quantile(z, QUANTILES, axis=0).T, library.signatures)
        moved = np.zeros_like(coef)
        np.put_along_axis(moved, partner, sign * coef, 1)
        coef = moved
    logits = z @ coef.T + library.coef[:, -1]
    agree = np.mean((logits > 0) == (reference > 0.5)[:, None], 0)
    return np.asarray(logits[:, np.argmax(agree)], dtype=np.float64)


def pair(mine: Floats, entries: Floats) -> tuple[np.ndarray, Floats]:
    """Which component of the draw each component of each entry is, and with which sign: two (entries, d) arrays.

    mine: (d, q), entries: (e, d, q) quantiles. Greedy, nearest pair first, every component once.
    """
    e, d, _ = entries.shape
    same, mirrored = (_squared(entries, other) for other in (mine, -mine[:, ::-1]))
    cost = np.minimum(same, mirrored).reshape(e, d * d)
    rows = np.arange(e)
    partner, sign = np.zeros((e, d), np.int64), np.zeros((e, d))
    for _ in range(d):
        theirs, ours = np.divmod(np.argmin(cost, 1), d)
        partner[rows, theirs] = ours
        sign[rows, theirs] = np.where(same[rows, theirs, ours] <= mirrored[rows, theirs, ours], 1.0, -1.0)
        square = cost.reshape(e, d, d)
        square[rows, theirs, :] = np.inf
        square[rows, :, ours] = np.inf
    return partner, sign


def _squared(entries: Floats, mine: Floats) -> Floats:
    """(e, d, d) squared distances of every entry's components to the draw's."""
    square = np.sum(entries**2, 2)[:, :, None] + np.sum(mine**2, 1) - 2 * (entries @ mine.T)
    return np.asarray(square, dtype=np.float64)
