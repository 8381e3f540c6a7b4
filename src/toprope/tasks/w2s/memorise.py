"""What memorising public material is worth: `python -m toprope.tasks.w2s.memorise` (a minute or two).

The attacker keeps a library of gold directions, one per known cell and draw, in canonical coordinates (whitened
principal components, largest first, signs by skewness). On a new draw it takes the entry that agrees most with the weak
labels or with an honest champion, alone or added to the champion. Kinds of knowledge: visible cells and weights; hidden
cells with the visible weights; hidden cells with the demo's weights. With $TOPROPE_W2S_WEIGHTS set the draws come from
private weights, and the third kind is what a stranger has; without it, it is what only the referee should have.

Not tried here: ICA libraries and learned stackers, which did better than PCA in the study this follows (up to +.10 over
the champion for whoever knows the hidden weights). So a pass bounds these attacks only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from toprope.tasks.w2s import cells, student, task
from toprope.tasks.w2s.bank import open_bank
from toprope.tasks.w2s.baselines import METHODS, tuned
from toprope.tasks.w2s.draws import Sampler
from toprope.tasks.w2s.table import SEED
from toprope.tasks.w2s.trial import pgr, starter
from toprope.types import Draw, Floats, Json

RANK = 24
LIMIT = 0.05  # PGR by which everything public may beat the champion on a certifying vault
SHARE = 0.3  # of the library's logits, added to the champion's
KNOWLEDGE = {
    "visible cells, visible weights": ("visible", task.VISIBLE),
    "hidden cells, visible weights": ("hidden", task.VISIBLE),
    "hidden cells, demo weights": ("hidden", task.DEMO),
}


def canonical(draw: Draw) -> Floats:
    """(n, RANK) whitened principal components of the pool, each turned so that its skewness is positive."""
    base: student.Basis = draw.private.basis
    order = np.argsort(-base.energy)[:RANK]
    z = base.rows[:, order] / np.sqrt(base.energy[order])
    return np.asarray(z * np.sign(np.mean(z**3, 0)), dtype=np.float64)


def library(side: str, weights: Path, per_cell: int, rng: np.random.Generator) -> Floats:
    """(entries, RANK + 1) gold probes in canonical coordinates, `per_cell` of every cell of a side."""
    sampler = Sampler(open_bank(weights, lambda what, done: None))
    some = [sampler.draw(c, rng) for c in cells.admitted("standard", side) for _ in range(per_cell)]
    return np.stack([student.newton(canonical(d), d.private.pool_labels, 1e-2) for d in some])


def recall(draw: Draw, entries: Floats, reference: Floats) -> Floats:
    """(n,) logits of the entry whose decisions on the pool agree best with the reference's."""
    z = canonical(draw)
    logits = z @ entries[:, :-1].T + entries[:, -1]
    agree = np.mean((logits > 0) == (reference > 0.5)[:, None], 0)
    return np.asarray(logits[:, np.argmax(agree)], dtype=np.float64)


def champion_targets(draw: Draw, params: Mapping[str, Json]) -> Floats:
    """(n,) soft targets of an honest method of the grammar."""
    public = draw.public
    targets, _ = starter()(
        public["pool_features"],
        public["pool_weak_probs"],
        params=params,
        rng=np.random.default_rng(0),
        margins=public["margins"],
    )
    return np.clip(np.asarray(targets, dtype=np.float64), 0.05, 0.95)


def accuracy(draw: Draw, logits: Floats) -> float:
    """Test accuracy of the referee's student trained on these pool logits."""
    gold = draw.private
    targets = 0.5 * (1 + np.tanh(np.clip(logits, -20, 20) / 2))
    p = student.fit(gold.basis, targets[None], np.ones((1, len(targets)))).probabilities(
        gold.basis, gold.test_features
    )[0]
    return float(np.mean((p > 0.5) == gold.test_labels))


def attack(draws: list[Draw], entries: Floats, params: Mapping[str, Json]) -> dict[str, Floats]:
    """Accuracies over draws of the honest champion and of three uses of a library."""
    found: dict[str, list[float]] = {
        "champion": [],
        "library by weak": [],
        "library by champion": [],
        "champion + library": [],
    }
    for draw in draws:
        honest = champion_targets(draw, params)
        said = np.log(honest / (1 - honest))
        best = recall(draw, entries, honest)
        found["champion"].append(accuracy(draw, said))
        found["library by weak"].append(accuracy(draw, recall(draw, entries, draw.public["pool_weak_probs"])))
        found["library by champion"].append(accuracy(draw, best))
        found["champion + library"].append(accuracy(draw, said + SHARE * best / (np.std(best) + 1e-9) * np.std(said)))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=48)
    parser.add_argument("--per-cell", type=int, default=2)
    parser.add_argument(
        "--params", type=Path, help="an honest champion's params.json; default: the best tuned baseline"
    )
    args = parser.parse_args()
    name = "label propagation + match"
    params = json.loads(args.params.read_text()) if args.params else tuned().get(name, METHODS[name].params)
    target = task.WeakToStrong("w2s/probe-v1")
    draws = [target.generate("measure", i, SEED + 1) for i in range(args.draws)]
    print(f"hidden weights: {target.hidden_weights}; {len(draws)} draws; PGR\n")
    print("| attacker knows | champion | library by weak | library by champion | champion + library | excess | ok |")
    print("|---|---|---|---|---|---|---|")
    for knows, (side, weights) in KNOWLEDGE.items():
        entries = library(side, weights, args.per_cell, np.random.default_rng(7))
        scores = attack(draws, entries, params)
        cells_ = ["{:.3f} ± {:.3f}".format(*pgr(s, draws)) for s in scores.values()]
        values = [pgr(s, draws)[0] for s in scores.values()]
        excess = max(values[1:]) - values[0]
        print(f"| {knows} | {' | '.join(cells_)} | {excess:+.3f} | {'yes' if excess <= LIMIT else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
