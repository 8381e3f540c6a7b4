"""Which candidate cells are fair problems on given weights; writes cells.json or mixed.json (docs/measurements/w2s.md).

Rule, on the mean of some draws per cell: gap >= .10 and >= 5 of its standard errors, vanilla PGR in [.05, .6],
label-free readouts (2-means, best of four axes, both with the sign taken from gold) below .5 PGR, majority below .1;
standard cells have weak accuracy >= .70, hard ones < .74. Mixed cells, whose teachers err more, are held to what real
banks are: gap >= .05 and >= 5 standard errors, weak >= .60, and the same limits on readouts and majority. Cells are
listed so that the first few are spread over kinds, the visible mixed ones in turn over the levels. --per-cell: draws
of each candidate cell. --mixed: the tier of `w2s/probe-v2`; without it, the tiers of the tasks of version 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import numpy as np

from studies.w2s.simulated import accuracies
from toprope.types import Draw, Floats
from toprope_tasks.w2s import cells, lm, task
from toprope_tasks.w2s.draws import MIXED_PRIOR, POOL, PRIOR, TEST, Gold, Sampler
from toprope_tasks.w2s.states import open_bank

TASK = task.WeakToStrong("w2s/probe-v1", task.DEMO)
SIDES = {"visible": task.VISIBLE, "hidden": (task.DEMO,)}
ROWS = 2400  # of each class in the bank: the largest draw takes 2,275
DEV = 52  # standard visible cells kept, one per dev draw


def figures(draws: list[Draw]) -> dict[str, float]:
    """Anchors and shortcut readouts of one cell. PGR as ratios of sums."""
    floor, ceiling = (np.array([getattr(d, name) for d in draws]) for name in ("floor", "ceiling"))
    gap = ceiling - floor

    def share(scores: Floats) -> float:
        return float(np.sum(scores - floor) / max(gap.sum(), 1e-9))

    readouts = np.array([label_free(d.private) for d in draws])  # (draws, readouts)
    return {
        "gap": float(gap.mean()),
        "gap_se": float(np.sqrt(np.mean(ceiling * (1 - ceiling) + floor * (1 - floor)) / 1000 / len(draws))),
        "weak": float(floor.mean()),
        "ceiling": float(ceiling.mean()),
        "vanilla": share(accuracies(TASK, draws, {})),
        "zero_shot": max(share(column) for column in readouts.T),
        "majority": share(
            np.array([max(d.private.test_labels.mean(), 1 - d.private.test_labels.mean()) for d in draws])
        ),
    }


def label_free(gold: Gold) -> Floats:
    """(5,) test accuracies of 2-means and of the sign of the four largest axes, orientation given away by gold."""
    z, test = gold.basis.rows.astype(np.float64), gold.basis.apply(gold.test_features)
    order = np.argsort(-gold.basis.energy)[:4]
    centres = z[[np.argmin(z[:, order[0]]), np.argmax(z[:, order[0]])]]
    for _ in range(10):
        near = np.argmin(np.sum(centres**2, 1) - 2 * z @ centres.T, 1)
        centres = np.stack([z[near == c].mean(0) for c in (0, 1)])
    said = [np.argmin(np.sum(centres**2, 1) - 2 * test @ centres.T, 1) == 1]
    said += [test[:, axis] > 0 for axis in order]
    right = np.mean(np.array(said) == gold.test_labels, 1)
    return np.asarray(np.maximum(right, 1 - right), dtype=np.float64)


def passes(tier: str, f: dict[str, float]) -> bool:
    """The admission rule."""
    shortcuts = f["zero_shot"] >= 0.5 or f["majority"] >= 0.1
    if tier == "mixed":
        return f["gap"] >= 0.05 and f["gap"] >= 5 * f["gap_se"] and f["weak"] >= 0.60 and not shortcuts
    level = f["weak"] >= 0.70 if tier == "standard" else f["weak"] < 0.74
    gap = f["gap"] >= 0.10 and f["gap"] >= 5 * f["gap_se"]
    return level and gap and 0.05 <= f["vanilla"] <= 0.6 and not shortcuts


def samplers(side: str) -> list[Sampler]:
    """One for every shipped lineage of a side."""
    return [Sampler(open_bank(path, lambda what, done: None)) for path in SIDES[side]]


def look(tier: str, side: str, cell: cells.Cell, among: list[Sampler], per_cell: int) -> dict[str, float]:
    """Figures of a cell as they are recorded; its draws take turns over the lineages."""
    rng = np.random.default_rng([len(tier), *map(ord, side + cell.name)])
    prior = MIXED_PRIOR if tier == "mixed" else PRIOR
    found = figures([among[i % len(among)].draw(cell, rng, prior=prior) for i in range(per_cell)])
    return {key: round(value, 4) for key, value in found.items()}


def admit(tier: str, side: str, among: list[Sampler], per_cell: int) -> list[tuple[cells.Cell, dict[str, float]]]:
    """Cells that pass, in spread order, with their figures."""
    kept = {}
    for cell in cells.candidates(tier, side):
        need = MIXED_PRIOR[1] * (cell.labels + POOL + TEST) + 1 if tier == "mixed" else ROWS
        if min(map(len, among[0].rows(cell))) < need:  # the prompts are the same for every lineage
            continue
        f = look(tier, side, cell, among, per_cell)
        if passes(tier, f):
            kept[cell] = f
    return [(cell, kept[cell]) for cell in ordered(tier, side, list(kept))]


def ordered(tier: str, side: str, kept: list[cells.Cell]) -> list[cells.Cell]:
    """Spread; of the visible cells as many as there are dev draws, and in `mixed` each at its level of the rotation."""
    if (tier, side) == ("mixed", "visible"):
        levels = cells.LEVELS[side]
        rows = {level: iter(cells.spread(cells.at(level, side, kept))) for level in levels}
        return [next(rows[levels[i % len(levels)]]) for i in range(DEV)]
    chosen = cells.spread(kept)
    return chosen[:DEV] if (tier, side) == ("standard", "visible") else chosen


def main(*, per_cell: int = 6, mixed: bool = False, output: Path | None = None) -> None:
    command = f"python -m studies w2s/admission --per-cell {per_cell}" + " --mixed" * mixed
    record: dict[str, object] = {"command": command}
    for side, weights in SIDES.items():
        among = samplers(side)
        record[f"weights/{side}"] = [lm.digest(lm.load(path)[0]) for path in weights]
        for tier in ("mixed",) if mixed else ("standard", "hard"):
            kept = admit(tier, side, among, per_cell)
            record[f"{tier}/{side}"] = [{**msgspec.to_builtins(c), **f} for c, f in kept]
            print(_summary(tier, side, [f for _, f in kept]), file=sys.stderr)
    (output or cells.TIERS["mixed" if mixed else "standard"]).write_text(json.dumps(record, indent=0) + "\n")


def _summary(tier: str, side: str, kept: list[dict[str, float]]) -> str:
    total = len(cells.candidates(tier, side))
    ranges = (f"{key} {min(f[key] for f in kept):.2f}..{max(f[key] for f in kept):.2f}" for key in (kept or [{}])[0])
    return f"{tier} {side}: {total} -> {len(kept)}; " + ", ".join(ranges)
