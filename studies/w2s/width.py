"""Which L2 the referee's student needs at which width: ceilings and vanilla values of a bank in native width.

The features of --bank (an extraction without --width) are cut to the first W principal components, for several W. For
each W and each L2 the table shows the mean accuracy with gold labels (the ceiling), that of the teacher, and the value
of the method `vanilla`. `bank/draws.py: width_l2` is the rule that this table led to.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprope_tasks.w2s import student
from toprope_tasks.w2s.bank import draws, file

WIDTHS = (64, 128, 256, 384, 576)
TIMES = (1, 4, 16, 64, 256)  # the L2 of 64 columns


def cut(x: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(n, width) first principal components of standardised columns."""
    if width >= x.shape[1]:
        return x
    z = (x - x.mean(0)) / (x.std(0) + 1e-6)
    values, axes = np.linalg.eigh(z.T @ z / len(z))
    return np.asarray(z @ axes[:, np.argsort(-values)[:width]], np.float32)


def main(bank: Path, *, concepts: int = 8, per_concept: int = 2, seed: int = 1) -> None:
    read = file.read(bank)
    labels = file.read_labels(bank, read)
    name, native = next(iter(read.strong.items()))
    print("| width | L2 | teacher | ceiling | vanilla PGR | rule |\n|---|---|---|---|---|---|")
    for width in [w for w in WIDTHS if w < native.shape[1]] + [native.shape[1]]:
        sampler = draws.Sampler(read._replace(strong={name: cut(native, width)}), labels)
        some = [c for c in range(len(labels)) if sampler.prior(c) is not None][:concepts]
        rng = np.random.default_rng(seed)
        cases = [sampler.draw(c, rng) for c in some for _ in range(per_concept)]
        for times in TIMES:
            l2 = student.L2 * times
            found = []
            for case in cases:
                gold = case.private
                taught = (case.public["pool_weak_probs"] > 0.5).astype(np.float64)
                targets = np.stack([gold.pool_labels.astype(np.float64), taught])
                p = student.fit(gold.basis, targets, np.ones(targets.shape), l2).probabilities(
                    gold.basis, gold.test_features
                )
                found.append([case.floor, *((p > 0.5) == gold.test_labels).mean(1)])
            floor, ceiling, vanilla = np.mean(found, axis=0)
            value = (vanilla - floor) / (ceiling - floor)
            rule = f"{draws.width_l2(width):.3g}" if times == 1 else ""
            print(f"| {width} | {l2:.3g} | {floor:.4f} | {ceiling:.4f} | {value:+.3f} | {rule} |", flush=True)
