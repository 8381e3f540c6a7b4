"""What memorising is worth on hidden draws: libraries of directions, and a network (docs/measurements/w2s.md).

The attacker simulates draws of what it knows, gold included, and keeps directions (`libraries`) or trains a network
(`stacker`). Then it meets hidden draws it never saw, beside an honest champion. Kinds of knowledge: visible cells on
the visible weights; hidden cells on other weights that are public; hidden cells on the hidden weights themselves. The
last is what everybody has while the hidden weights are the demo's, and only the referee once $TOPROPE_W2S_WEIGHTS
names private ones. Rule: no attack may beat the champion by more than LIMIT. An attack that has seen visible material
alone is a legitimate method, and may simply be better than the champion; so the gain over it is printed too, and that
is what knowing more is worth.

--draws: hidden draws. --train: simulated draws of every kind of knowledge. --lines: prompts per operation of the bank.
--params: an honest champion. A few minutes on a quiet core. Not tried: networks that see a whole draw at once, point
clouds aligned step by step, longer training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from studies.w2s import libraries, stacker
from studies.w2s.simulated import SEED, simulate
from toprope.protocols import Baseline
from toprope.stats.intervals import ratio
from toprope.types import Draw, Floats, Json
from toprope_tasks.w2s import student, task
from toprope_tasks.w2s.states import LINES_PER_OP

LIMIT = 0.05  # PGR by which an attack may beat the champion on a certifying vault
SHARE = 0.3  # of a library's logits, added to the champion's
CHAMPION = Path("docs/tasks/w2s-champion.json")
HONEST = (  # whom the network listens to, beside the champion
    "label propagation + match", "logconf + L2", "k-means vote", "label propagation", "soft labels",
)  # fmt: skip

Params = Mapping[str, Json]


def knowledge(hidden: Path) -> dict[str, tuple[str, list[Path]]]:
    """Kind -> (side of the cells, weights) that an attacker on these hidden weights may simulate."""
    visible = list(task.VISIBLE)
    public = visible if hidden == task.DEMO else [*visible, task.DEMO]
    return {
        "visible cells and weights": ("visible", visible),
        "hidden cells, other weights": ("hidden", public),
        "hidden cells and weights": ("hidden", [hidden]),
    }


def methods(champion: Params, baselines: Mapping[str, Baseline]) -> list[Params]:
    """The champion, then the honest methods, tuned where they can be."""
    return [champion, *(baselines.get(f"{name} (tuned)", baselines[name]).params for name in HONEST)]


def attack(
    known: Iterator[Draw],
    hidden: Sequence[Draw],
    seen: Sequence[stacker.StackerView],
    heard: Sequence[Params],
    epochs: int,
) -> dict[str, Floats]:
    """Attack -> (draws,) accuracies on the hidden draws, after learning from the known ones. heard: as `methods`."""
    looks, entries = [], []
    for draw in known:
        looks.append((stacker.look(draw, heard), draw.private.pool_labels, draw.private.test_labels))
        entries.append([libraries.build([draw], kind) for kind in ("pca", "ica")])
    books = [_joined([pair[i] for pair in entries]) for i in range(2)]
    pool = stacker.train(
        np.concatenate([s.pool for s, _, _ in looks]), np.concatenate([g for _, g, _ in looks]), 1, epochs
    )
    test = stacker.train(
        np.concatenate([s.test for s, _, _ in looks]), np.concatenate([g for _, _, g in looks]), 2, epochs
    )
    scores: dict[str, list[float]] = {}
    for draw, view in zip(hidden, seen, strict=True):
        for name, value in _one(draw, view, books, pool, test):
            scores.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in scores.items()}


def _one(
    draw: Draw, view: stacker.StackerView, books: list[libraries.Library], pool: stacker.Network, test: stacker.Network
) -> Iterator[tuple[str, float]]:
    said = np.clip(view.honest[0], 0.05, 0.95)
    said = np.log(said / (1 - said))
    for book in books:
        best = libraries.recall(draw, book, view.honest[0])
        yield f"{book.kind.upper()} library", accuracy(draw, best)
        yield (
            f"champion + {book.kind.upper()} library",
            accuracy(draw, said + SHARE * best / np.std(best) * np.std(said)),
        )
    yield "stacker, as targets", accuracy(draw, pool.logits(view.pool))
    yield "stacker, as student", float(np.mean((test.logits(view.test) > 0) == draw.private.test_labels))


def _joined(books: list[libraries.Library]) -> libraries.Library:
    coef, signatures = (np.concatenate([getattr(b, part) for b in books]) for part in ("coef", "signatures"))
    return libraries.Library(books[0].kind, coef, signatures)


def accuracy(draw: Draw, logits: Floats) -> float:
    """Test accuracy of the referee's student trained on these pool logits."""
    gold = draw.private
    targets = 0.5 * (1 + np.tanh(np.clip(logits, -20, 20) / 2))
    p = student.fit(gold.basis, targets[None], np.ones((1, len(targets)))).probabilities(
        gold.basis, gold.test_features
    )[0]
    return float(np.mean((p > 0.5) == gold.test_labels))


def pgr(scores: Floats, draws: list[Draw]) -> tuple[float, float]:
    """Performance gap recovered, and its standard error over draws."""
    e = ratio(scores, [d.floor for d in draws], [d.ceiling for d in draws], method="delta")
    return e.value, e.se


def excess(scores: Floats, champion: Floats, draws: list[Draw]) -> tuple[float, float]:
    """PGR of an attack minus the champion's, and its paired standard error over draws."""
    return pgr(scores - champion + np.array([d.floor for d in draws]), draws)


def main(
    *, draws: int = 96, train: int = 240, epochs: int = 6, lines: int = LINES_PER_OP, params: Path = CHAMPION
) -> None:
    target = task.WeakToStrong("w2s/probe-v1", lines_per_op=lines)
    champion: Params = json.loads(params.read_text())
    drawn = [target.generate("measure", i, SEED + 1) for i in range(draws)]
    seen = [stacker.look(draw, methods(champion, target.baselines())) for draw in drawn]
    honest = np.array([s.accuracies[0] for s in seen])
    print(f"hidden weights: {target.secret.name}; {len(drawn)} hidden draws, {train} simulated ones")
    print("champion {:.3f} ± {:.3f} PGR; rule: attack <= champion + {:.2f}\n".format(*pgr(honest, drawn), LIMIT))
    print("| attacker knows | attack | PGR | - champion, paired | - same attack, visible only, paired | ok |")
    print("|---" * 6 + "|")
    least: dict[str, Floats] = {}
    for kind, (side, weights) in knowledge(target.hidden_path).items():
        print(f"{kind}: simulating and learning", file=sys.stderr, flush=True)
        known = simulate(side, weights, train, SEED + 2, lines)
        for name, scores in attack(known, drawn, seen, methods(champion, target.baselines()), epochs).items():
            figures = (
                pgr(scores, drawn),
                excess(scores, honest, drawn),
                excess(scores, least.setdefault(name, scores), drawn),
            )
            print(_line(kind, name, figures), flush=True)


def _line(kind: str, name: str, figures: Sequence[tuple[float, float]]) -> str:
    value, over, knowing = figures
    columns = ["{:.3f} ± {:.3f}".format(*value), "{:+.3f} ± {:.3f}".format(*over), "{:+.3f} ± {:.3f}".format(*knowing)]
    return f"| {kind} | {name} | {' | '.join(columns)} | {'yes' if over[0] <= LIMIT else 'NO'} |"
