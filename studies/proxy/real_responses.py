"""Do reward models that are good on the simulated world of `proxy/reward-model-v1` keep their order on real responses?

A response is a text of a bank of real activations. Its features are 16 principal components of a real model's states,
in a rotation of the draw's own. Gold is a weighted sum of four properties that the texts really have (their labels). A
labeller sees these through a weak model's probes, with weights of its own, likes two further properties that gold
ignores, as all labellers do, and has whims along the weak model's axes. So neither gold nor opinions are functions of
what the candidate sees. Pairs, audits, coins, the pool and the optimiser are those of the task.

    python -m studies proxy/real_responses --bank FILE.npz --bank FILE.npz
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprope.assay.reference import points
from toprope.assay.transfer import best_quarter, doubles, rank_correlation
from toprope.protocols import Baseline
from toprope.referee.panel import Column
from toprope.stats.intervals import ratio
from toprope.tasks.trusted import outputs
from toprope.types import Candidate, Draw, Floats
from toprope_tasks.proxy import make, private
from toprope_tasks.proxy.public import AUDITS, FEATURES, LABELLERS, PAIRS, POOL
from toprope_tasks.proxy.task import RewardModel
from toprope_tasks.w2s import student
from toprope_tasks.w2s.bank import draws as bank_draws
from toprope_tasks.w2s.bank import file

CONTENT, STYLE, WHIMS = 4, 2, 5
LEARNT = 300  # labels that a weak probe of a property was trained on
COMMON = (0.1, 0.9)  # share of texts that have a property which may be used
SEED = 2026


class Responses:
    """Draws whose responses are the texts of a bank."""

    def __init__(self, path: Path) -> None:
        bank = file.read(path)
        labels = file.read_labels(path, bank)
        self._weak = bank_draws.standard(next(iter(bank.weak.values()))).astype(np.float64)
        x = bank_draws.standard(next(iter(bank.strong.values())))[:, :FEATURES].astype(np.float64)
        self._x = (x - x.mean(0)) / x.std(0)
        self._has = labels == 1
        share = self._has.mean(1)
        self._use = np.flatnonzero((share > COMMON[0]) & (share < COMMON[1]))

    def draw(self, index: int) -> Draw:
        """The index-th draw."""
        rng = np.random.default_rng([SEED, index])
        world = private.draw_world(rng, "dev")  # of which only the labellers' sharpness, coins and shares are used
        rows = rng.permutation(len(self._x))[: POOL + 2 * PAIRS + AUDITS + LEARNT]
        pool, first, second, audit, learnt = np.split(rows, np.cumsum([POOL, PAIRS, PAIRS, AUDITS]))
        chosen = rng.choice(self._use, CONTENT + STYLE, replace=False)
        truth = self._scaled(self._has[chosen].T.astype(np.float64))
        weight = rng.standard_normal(CONTENT)
        worth = truth[:, :CONTENT] @ (weight / np.linalg.norm(weight))
        seen = self._scaled(np.stack([self._believed(c, learnt) for c in chosen[:CONTENT]], axis=1))
        opinion = self._opinions(seen, truth[:, CONTENT:], weight / np.linalg.norm(weight), rng)
        labeller = rng.choice(LABELLERS, PAIRS, p=world.share)
        margin = (opinion[first, labeller] - opinion[second, labeller]) * world.sharp[labeller]
        coin = rng.random(PAIRS) < world.careless[labeller]
        wins = rng.random(PAIRS) < np.where(coin, 0.5, 1 / (1 + np.exp(-margin)))
        shown = (self._x @ bank_draws.rotation(FEATURES, rng)).astype(np.float32)
        centre, scale = worth[pool].mean(), worth[pool].std()
        gold = (worth - centre) / scale
        public: dict[str, NDArray[np.generic]] = {
            "chosen": shown[np.where(wins, first, second)],
            "rejected": shown[np.where(wins, second, first)],
            "labeller": labeller.astype(np.int64),
            "audit_features": shown[audit],
            "audit_gold": gold[audit] + private.AUDIT_NOISE * rng.standard_normal(AUDITS),
        }
        hidden = private.RewardGold(shown[pool], gold[pool], world)
        ceiling = float(private.score(hidden.gold[None], hidden.gold)[0])
        return Draw(public, hidden, floor=0.0, ceiling=ceiling, group=index)

    def _believed(self, concept: int, learnt: NDArray[np.int64]) -> Floats:
        """(N,) log odds of a property by a probe on the weak model's features."""
        beta = student.newton(self._weak[learnt], self._has[concept, learnt], 1e-2)
        return np.asarray(self._weak @ beta[:-1] + beta[-1])

    def _opinions(self, seen: Floats, style: Floats, weight: Floats, rng: np.random.Generator) -> Floats:
        """(N, l) what each labeller thinks a text is worth."""
        judgement = weight + private.SPREAD * rng.standard_normal((LABELLERS, CONTENT))
        taste = rng.uniform(0.2, 1.0, STYLE) + private.SPREAD * rng.standard_normal((LABELLERS, STYLE))
        axes = self._weak[:, rng.choice(self._weak.shape[1], WHIMS, replace=False)]
        whim = private.SPREAD * rng.standard_normal((LABELLERS, WHIMS))
        return np.asarray(seen @ judgement.T + style @ taste.T + self._scaled(axes) @ whim.T)

    def _scaled(self, columns: Floats) -> Floats:
        return np.asarray((columns - columns.mean(0)) / (columns.std(0) + 1e-9))


def column(task: RewardModel, draws: Sequence[Draw], method: Candidate) -> Column:
    """Scores of a method on the draws, in this process: the methods are the task's own."""
    scores = [task.score(outputs(task, method.tree, d, method.params), d)[0] for d in draws]
    groups = np.arange(len(draws))
    return Column(np.array(scores), np.zeros(len(draws)), np.array([d.ceiling for d in draws]), groups)


def main(*, bank: tuple[Path, ...] = (), draws: int = 48, sample: int = 60) -> None:
    task = make("proxy/reward-model-v1")
    named = {n: Candidate(b.tree, b.params) for n, b in task.baselines().items()}
    assert task.space is not None
    whole = Baseline(task.starter(), {}, "", own=tuple(d.name for d in task.space.dims))
    named |= {f"random {i}": c for i, c in enumerate(points(task, whole, sample, SEED))}
    sources = {split: [task.generate(split, i, SEED) for i in range(draws)] for split in ("dev", "test")}
    for path in bank:
        responses = Responses(path)
        sources[path.stem] = [responses.draw(i) for i in range(draws)]
    found = {}
    for name, cases in sources.items():
        print(f"{len(named)} methods on {len(cases)} draws of {name}", file=sys.stderr, flush=True)
        found[name] = [column(task, cases, method) for method in named.values()]
    for name, columns in found.items():
        if name == "dev":
            continue
        alone = sorted(set(doubles(found["dev"], columns)))
        x, y = [found["dev"][i] for i in alone], [columns[i] for i in alone]
        for words, which in (("all", np.arange(len(x))), ("best quarter", best_quarter(x))):
            r = rank_correlation(x, y, which)
            print(f"dev -> {name}, {words}: {r.value:.2f} [{r.lo:.2f}, {r.hi:.2f}], n = {r.methods}")
    print("\n| method | " + " | ".join(found) + " |\n|---" + "|---" * len(found) + "|")
    for i, method in enumerate(named):
        if not method.startswith("random"):
            values = (ratio(c[i].counted, c[i].floors, c[i].ceilings) for c in found.values())
            print(f"| {method} | " + " | ".join(f"{e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]" for e in values) + " |")
