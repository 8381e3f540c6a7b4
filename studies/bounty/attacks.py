"""What an attacker does with k answers about n labels. Each returns its final prediction (n,).

All are lower bounds on what is possible: a cleverer attacker does no worse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studies.bounty.endpoints import Bits, Scores, Yes
from toprope.types import Floats

CHUNK = 4096  # random queries at a time


def detecting_matrix(labels: int) -> NDArray[np.int8]:
    """(rows, >= labels) entries in {-1, 0, 1} from whose products with any 0/1 vector it can be told (`decode`).

    Cantor & Mills 1966, "Determination of a subset from certain combinatorial properties": D' = [[D, D, I], [D, -D, 0]]
    has 2^m rows for (m + 2) 2^(m - 1) columns: five labels a weighing at 1,000, more with every doubling.
    """
    d = np.ones((1, 1), dtype=np.int8)
    while d.shape[1] < labels:
        size = d.shape[0]
        one, zero = np.eye(size, dtype=np.int8), np.zeros((size, size), dtype=np.int8)
        d = np.block([[d, d, one], [d, -d, zero]])
    return d


def decode(products: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
    """The 0/1 vector x (columns,) from D x (rows,), by the recursion that made D: the parity of a + b is the I part."""
    if len(products) == 1:
        return products
    half = len(products) // 2
    a, b = products[:half], products[half:]
    w = (a + b) & 1
    inner = (columns - half) // 2
    return np.concatenate([decode((a + b - w) // 2, inner), decode((a - b - w) // 2, inner), w])


def detecting(endpoint: Scores, k: int, rng: np.random.Generator) -> Bits:
    """Weighs all labels at once with a detecting matrix, two queries a row; as many labels as the queries allow."""
    n = endpoint.n
    size = n
    while 2 * len(detecting_matrix(size)) > k and size > 1:
        size //= 2
    d = detecting_matrix(size)
    d, columns = d[:, :size], d.shape[1]
    queries = np.zeros((2 * len(d), n), dtype=np.int8)  # beyond `size` both of a pair answer 0, which cancels
    queries[0::2, :size] = d >= 0
    queries[1::2, :size] = d > 0
    # a query with entries q in {-1, 1} has n * accuracy = sum q x + (number of q = -1)
    told = np.rint(endpoint.scores(queries) * n).astype(np.int64)
    base = np.rint(endpoint.scores(np.zeros((1, n), dtype=np.int8))[0] * n).astype(np.int64)
    sums = told - base  # sum over predicted ones of (2 x - 1)
    ones = queries.sum(axis=1, dtype=np.int64)
    weighed = (sums + ones) // 2  # labels that are 1 among the predicted ones
    plus_zero, plus = weighed[0::2], weighed[1::2]  # D >= 0, D > 0
    total = _total(endpoint, size)
    minus = total - plus_zero  # D < 0
    products = np.zeros(len(d), dtype=np.int64) + plus - minus
    found = decode(products, columns)[:size]
    guess = rng.integers(0, 2, n).astype(np.int8)
    guess[:size] = found
    return guess


def _total(endpoint: Scores, size: int) -> int:
    """Ones among the first labels: two queries."""
    n = endpoint.n
    pair = np.zeros((2, n), dtype=np.int8)
    pair[0, :size] = 1
    up, down = np.rint(endpoint.scores(pair) * n).astype(int)
    return int((up - down + size) // 2)


def edge_walk(endpoint: Scores, k: int, rng: np.random.Generator) -> Bits:
    """Walks to the edge of a rounding step; there every single flip shows whether it was right."""
    n = endpoint.n
    p = rng.integers(0, 2, n).astype(np.int8)
    told, order, at = _tell(endpoint, p), rng.permutation(n), 0
    while at < min(k, n):
        p[order[at]] ^= 1
        now = _tell(endpoint, p)
        at += 1
        if now > told:  # the step was crossed by this flip: before it, one more right answer was missing
            p[order[at - 1]] ^= 1
            break
        told = now
    guess = p.copy()
    for i in order[: max(0, k - at)]:
        p[i] ^= 1
        if _tell(endpoint, p) > told:
            guess[i] ^= 1
        p[i] ^= 1
    return guess


def _tell(endpoint: Scores, p: Bits) -> float:
    return float(endpoint.scores(p[None, :])[0])


def matched_filter(endpoint: Scores, k: int, rng: np.random.Generator) -> Bits:
    """Random predictions, each weighted by what was told above the mean (Blum & Hardt's boosting, with weights)."""
    total = np.zeros(endpoint.n)
    for start in range(0, k, CHUNK):
        queries = rng.integers(0, 2, (min(CHUNK, k - start), endpoint.n)).astype(np.int8)
        told: Floats = endpoint.scores(queries) - 0.5
        heard = ~np.isnan(told)
        if not heard.any():
            break
        total += told[heard].astype(np.float32) @ (2 * queries[heard] - 1).astype(np.float32)
    return np.asarray(total > 0, dtype=np.int8)


def single_flips(endpoint: Yes, k: int, rng: np.random.Generator, start: Bits) -> Bits:
    """Flips one answer at a time and keeps what is called better."""
    p = start.copy()
    for i in rng.permutation(endpoint.n)[:k]:
        p[i] ^= 1
        if not endpoint.better(p):
            p[i] ^= 1
    return p


def block_flips(endpoint: Yes, k: int, rng: np.random.Generator, start: Bits) -> Bits:
    """Flips a random block of a random size and keeps what is called better; `start` may be bad on purpose."""
    p = start.copy()
    sizes = np.exp(rng.uniform(np.log(4), np.log(endpoint.n / 2), k)).astype(int)
    for size in sizes.tolist():
        block = rng.integers(0, endpoint.n, size)
        trial = p.copy()
        trial[block] = 1 - p[block]
        if endpoint.better(trial):
            p = trial
    return p
