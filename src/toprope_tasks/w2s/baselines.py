"""Published weak-to-strong methods as points of the method grammar: one tree, many settings.

Each stands twice: with the settings of its source (or natural ones), and `(tuned)` on dev with the climb's own budget
over its own scalars only (`tune` writes tuned.json). Formulas are checked one by one against short references in tests.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import msgspec

from toprope.protocols import Baseline
from toprope.types import Json, Tree

HERE = Path(__file__).parent
TUNED = HERE / "tuned.json"
BURNS = "Burns et al. 2023, arXiv:2312.09390"
AAR = "safety-research/automated-w2s-research"
ELEUTHER = "EleutherAI/w2s"


class Method(msgspec.Struct, frozen=True):
    """params: its defaults. own: the scalars it may tune, dimension -> how many spread levels to try (0: all).

    more: for the strongest, all scalars of its blocks, drawn at random after that grid up to the climb's budget.
    """

    params: dict[str, Json]
    source: str
    own: dict[str, int] = {}
    more: tuple[str, ...] = ()


SPACE = (
    "vote_rank",
    "vote_power",
    "trust",
    "blend",
)  # of every vote: where rows are near, who speaks, how much it counts
METHODS: dict[str, Method] = {
    "vanilla": Method({}, f"{BURNS}: student trained on the teacher's hard labels"),
    "soft labels": Method(
        {"label": "soft"}, "openai/weak-to-strong, xent on soft labels", {"label": 0, "sharpness": 0}
    ),
    "confidence 50": Method(
        {"filter": "confidence", "keep": 0.5}, f"{AAR}: train_only_on_confident_labels", {"keep": 5, "even": 0}
    ),
    "confidence 30": Method({"filter": "confidence", "keep": 0.3}, f"{AAR}: train_only_on_confident_labels"),
    "confidence weights": Method({"weight": "confidence"}, "weights |2w - 1|", {"weight_power": 0, "label": 0}),
    "strong L2": Method({"l2": 0.03}, "early stopping and ridge, arXiv:2503.02877", {"l2": 0}),
    "generalised CE": Method({"loss": "gce"}, "Zhang & Sabuncu 2018, arXiv:1805.07836, q = .7", {"gce": 0}),
    "squared loss": Method({"loss": "square"}, "least squares on labels, Charikar et al. 2024, arXiv:2405.15116"),
    "logconf": Method({"rule": "logconf", "rounds": 5}, f"{BURNS}; loss.py, c = .5", {"mix": 5, "rounds": 4}),
    "entropy": Method(
        {"rule": "entropy", "label": "soft", "rounds": 5}, f"{ELEUTHER}: entropy", {"mix": 5, "rounds": 4}
    ),
    "product": Method(
        {"rule": "product", "label": "soft"},
        "openai/weak-to-strong: product_loss_fn, alpha = beta = 1",
        {"alpha": 4, "beta": 4, "rounds": 3},
    ),
    "bootstrapping": Method({"rule": "bootstrap", "rounds": 3}, f"{BURNS}: bootstrapping, same size", {"rounds": 0}),
    "2-fold relabel": Method(
        {"rule": "bootstrap", "rounds": 1, "folds": 2}, "cross-fitted relabelling", {"folds": 0, "rounds": 0}
    ),
    "class-conditional EM": Method(
        {"rule": "em", "rounds": 2}, "Dawid & Skene 1979; AAR posterior idea", {"rounds": 0}
    ),
    "agreement filter": Method({"filter": "agree"}, "confident learning, Northcutt et al. 2021", {"l2": 0}),
    "fold agreement 50": Method(
        {"filter": "overlap", "keep": 0.5}, "cross-fit agreement margin", {"keep": 5, "even": 0}
    ),
    "overlap density": Method(
        {"filter": "density", "keep": 0.5, "even": True},
        "AAR overlap density; arXiv:2412.03881",
        {"keep": 5, "even": 0},
        ("keep", "even", "neighbours", "l2"),
    ),
    "kNN filter": Method(
        {"filter": "knn", "keep": 0.9}, f"{ELEUTHER}: probe filter, k = 50", {"keep": 5, "neighbours": 4}
    ),
    "kNN relabel": Method(
        {"vote": "knn", "harden": "none"},
        f"{ELEUTHER}: probe relabel, k = 50",
        {"neighbours": 0, "blend": 0},
        ("neighbours", *SPACE),
    ),
    "small loss": Method({"filter": "loss", "keep": 0.7}, "co-teaching, Han et al. 2018", {"keep": 5, "even": 0}),
    "PCA 16": Method({"rank": 16}, "few principal components", {"rank": 0}),
    "PCA 8": Method({"rank": 8}, "few principal components"),
    "k-means vote": Method(
        {"vote": "kmeans", "harden": "none"},
        "cluster, then weak majority",
        {"clusters": 0, "runs": 2},
        ("clusters", "runs", *SPACE),
    ),
    "label propagation": Method(
        {"vote": "diffuse", "harden": "half", "bandwidth": 0.1, "steps": 3},
        "Zhu & Ghahramani 2002, CMU-CALD-02-107",
        {"bandwidth": 0, "steps": 0},
        ("bandwidth", "steps", *SPACE),
    ),
    "quadratic student": Method({"degree": 2}, "larger student, no pretraining of the products"),
    "confidence 50 + L2": Method(
        {"filter": "confidence", "l2": 0.03}, "hand combination", {"keep": 5, "l2": 8}, ("keep", "l2", "even")
    ),
    "logconf + L2": Method(
        {"rule": "logconf", "rounds": 5, "l2": 0.03},
        "hand combination",
        {"l2": 8, "mix": 4, "rounds": 2},
        ("l2", "mix", "rounds"),
    ),
    "label propagation + match": Method(
        {"vote": "diffuse", "label": "soft", "bandwidth": 0.1, "steps": 3},
        "hand combination: class mass normalisation, Zhu, Ghahramani & Lafferty 2003, on soft labels",
        {"bandwidth": 0, "steps": 0},
        ("bandwidth", "steps", *SPACE),
    ),
}


@cache
def tree() -> Tree:
    """The grammar's files."""
    return Tree({path.name: path.read_bytes() for path in sorted((HERE / "starter").glob("*.py"))})


def baselines() -> dict[str, Baseline]:
    """name -> Baseline; `NAME (tuned)` for every method with scalars of its own and a recorded tuning."""
    found = {name: Baseline(tree(), method.params, method.source) for name, method in METHODS.items()}
    for name, params in tuned().items():
        found[f"{name} (tuned)"] = Baseline(tree(), params, METHODS[name].source, tuned=True)
    return found


def tuned() -> dict[str, dict[str, Json]]:
    """method -> the parameters its tuning chose; empty before `tune` has been run."""
    if not TUNED.is_file():
        return {}
    record = json.loads(TUNED.read_text())
    return {name: entry["params"] for name, entry in record["methods"].items()}
