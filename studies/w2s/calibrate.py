"""How synthetic draws differ from draws of real banks: the figures that `w2s/probe-v2` was made to match.

Sources are named as in studies/w2s/sources.py: `w2s/probe-v2 dev`, `level hard 1.4 0.2` (concepts,
noise and blur) or the path of a bank. Means over draws. Figures of a draw:

- floor, ceiling: anchors of the draw.
- purity K: share of the K nearest pool rows with the row's own gold label, in the student's coordinates.
- dimensions: (sum of the variances of the principal components)^2 / sum of their squares.
- clustering: correlation of "the teacher errs here" with the share of errors among the 50 nearest rows.
- AUC: chance that the teacher is more confident in a row where it is right than in one where it errs.
- confidence: quartiles of |2w - 1|. bias: |mean of w - share of class 1|. margins: correlation of the strong model's
  zero-shot margin with the teacher being right.
- readout: PGR of the best of 2-means and the four largest axes, each with its sign given by gold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studies.w2s.admission import label_free
from studies.w2s.sources import DEFAULT, draws
from toprope.types import Draw, Floats

NEAR = (10, 50, 200)


def figures(draw: Draw) -> dict[str, float]:
    """The figures of one draw."""
    z, gold = draw.private.basis.rows, draw.private.pool_labels
    w = draw.public["pool_weak_probs"].astype(np.float64)
    wrong = (w > 0.5) != gold
    order = nearest(z, max(NEAR))
    energy = draw.private.basis.energy
    sure = np.abs(2 * w - 1)
    margins = draw.public.get("margins")
    return {
        "floor": draw.floor,
        "ceiling": draw.ceiling,
        **{f"purity {k}": float(np.mean(gold[order[:, :k]] == gold[:, None])) for k in NEAR},
        "dimensions": float(energy.sum() ** 2 / np.sum(energy**2)),
        "clustering": correlation(wrong[order[:, :50]].mean(1), wrong),
        "AUC": area(sure, ~wrong),
        **{f"confidence {q}": float(np.quantile(sure, q / 100)) for q in (25, 50, 75)},
        "bias": float(np.abs(w.mean() - gold.mean())),
        **({} if margins is None else {"margins": correlation(margins, ~wrong)}),
        "readout": float(label_free(draw.private).max() - draw.floor) / max(draw.ceiling - draw.floor, 0.02),
    }


def nearest(z: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(n, k) numbers of the k nearest other rows, nearest first."""
    square = np.sum(z * z, 1)
    distance = square[:, None] + square - 2 * (z @ z.T)
    np.fill_diagonal(distance, np.inf)
    near = np.argpartition(distance, k, axis=1)[:, :k]
    return np.take_along_axis(near, np.argsort(np.take_along_axis(distance, near, 1), 1), 1)


def correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Pearson's, 0 where one side is constant."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) and np.ptp(y) else 0.0


def area(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the curve: the share of pairs in which a positive row has the higher score; ties are rare."""
    if positive.all() or not positive.any():
        return 0.5
    ranks = np.argsort(np.argsort(score))
    m = positive.sum()
    return float((ranks[positive].sum() - m * (m - 1) / 2) / (m * (len(score) - m)))


def table(sources: Sequence[str], count: int, seed: int) -> dict[str, dict[str, float]]:
    """Source -> means of the figures over its draws."""
    found = {}
    for name in sources:
        each = [figures(draw) for draw in draws(name, count, seed)]
        found[name] = {key: round(float(np.mean([f[key] for f in each])), 4) for key in each[0]}
    return found


def main(*, sources: tuple[str, ...] = (), draws: int = 52, seed: int = 20261128, output: Path | None = None) -> None:
    rows = table(sources or DEFAULT, draws, seed)
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    print(f"| source | {' | '.join(columns)} |\n" + "|---" * (1 + len(columns)) + "|")
    for name, row in rows.items():
        shown = Path(name).stem if name.endswith(".npz") else name
        print(f"| {shown} | " + " | ".join(f"{row[c]:.3g}" if c in row else "" for c in columns) + " |")
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n")
