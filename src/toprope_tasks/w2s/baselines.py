"""Published weak-to-strong methods as points of the method grammar: one tree, many settings.

Each stands twice: with the settings of its source (or natural ones), and `(tuned)` on practice draws of the standard
tier over scalars of its own only (tuned.json). Formulas are checked one by one against short references in tests.
"""

from __future__ import annotations

from toprope.tasks.folder import Point

BURNS = "Burns et al. 2023, arXiv:2312.09390"
AAR = "safety-research/automated-w2s-research"
ELEUTHER = "EleutherAI/w2s"
SPACE = (
    "vote_rank",
    "vote_power",
    "trust",
    "blend",
)  # of every vote: where rows are near, who speaks, how much it counts
METHODS: dict[str, Point] = {
    "vanilla": Point({}, f"{BURNS}: student trained on the teacher's hard labels"),
    "soft labels": Point({"label": "soft"}, "openai/weak-to-strong, xent on soft labels", ("label", "sharpness")),
    "confidence 50": Point(
        {"filter": "confidence", "keep": 0.5}, f"{AAR}: train_only_on_confident_labels", ("keep", "even")
    ),
    "confidence 30": Point({"filter": "confidence", "keep": 0.3}, f"{AAR}: train_only_on_confident_labels"),
    "confidence weights": Point({"weight": "confidence"}, "weights |2w - 1|", ("weight_power", "label")),
    "strong L2": Point({"l2": 0.03}, "early stopping and ridge, arXiv:2503.02877", ("l2",)),
    "generalised CE": Point({"loss": "gce"}, "Zhang & Sabuncu 2018, arXiv:1805.07836, q = .7", ("gce",)),
    "squared loss": Point({"loss": "square"}, "least squares on labels, Charikar et al. 2024, arXiv:2405.15116"),
    "logconf": Point({"rule": "logconf", "rounds": 5}, f"{BURNS}; loss.py, c = .5", ("mix", "rounds")),
    "entropy": Point({"rule": "entropy", "label": "soft", "rounds": 5}, f"{ELEUTHER}: entropy", ("mix", "rounds")),
    "product": Point(
        {"rule": "product", "label": "soft"},
        "openai/weak-to-strong: product_loss_fn, alpha = beta = 1",
        ("alpha", "beta", "rounds"),
    ),
    "bootstrapping": Point({"rule": "bootstrap", "rounds": 3}, f"{BURNS}: bootstrapping, same size", ("rounds",)),
    "2-fold relabel": Point(
        {"rule": "bootstrap", "rounds": 1, "folds": 2}, "cross-fitted relabelling", ("folds", "rounds")
    ),
    "class-conditional EM": Point({"rule": "em", "rounds": 2}, "Dawid & Skene 1979; AAR posterior idea", ("rounds",)),
    "agreement filter": Point({"filter": "agree"}, "confident learning, Northcutt et al. 2021", ("l2",)),
    "fold agreement 50": Point({"filter": "overlap", "keep": 0.5}, "cross-fit agreement margin", ("keep", "even")),
    "overlap density": Point(
        {"filter": "density", "keep": 0.5, "even": True},
        "AAR overlap density; arXiv:2412.03881",
        ("keep", "even", "neighbours", "l2"),
    ),
    "kNN filter": Point({"filter": "knn", "keep": 0.9}, f"{ELEUTHER}: probe filter, k = 50", ("keep", "neighbours")),
    "kNN relabel": Point(
        {"vote": "knn", "harden": "none"}, f"{ELEUTHER}: probe relabel, k = 50", ("neighbours", *SPACE)
    ),
    "small loss": Point({"filter": "loss", "keep": 0.7}, "co-teaching, Han et al. 2018", ("keep", "even")),
    "PCA 16": Point({"rank": 16}, "few principal components", ("rank",)),
    "PCA 8": Point({"rank": 8}, "few principal components"),
    "k-means vote": Point(
        {"vote": "kmeans", "harden": "none"}, "cluster, then weak majority", ("clusters", "runs", *SPACE)
    ),
    "label propagation": Point(
        {"vote": "diffuse", "harden": "half", "bandwidth": 0.1, "steps": 3},
        "Zhu & Ghahramani 2002, CMU-CALD-02-107",
        ("bandwidth", "steps", *SPACE),
    ),
    "quadratic student": Point({"degree": 2}, "larger student, no pretraining of the products"),
    "confidence 50 + L2": Point({"filter": "confidence", "l2": 0.03}, "hand combination", ("keep", "l2", "even")),
    "logconf + L2": Point({"rule": "logconf", "rounds": 5, "l2": 0.03}, "hand combination", ("l2", "mix", "rounds")),
    "label propagation + match": Point(
        {"vote": "diffuse", "label": "soft", "bandwidth": 0.1, "steps": 3},
        "hand combination: class mass normalisation, Zhu, Ghahramani & Lafferty 2003, on soft labels",
        ("bandwidth", "steps", *SPACE),
    ),
}
SMOOTHING: dict[str, Point] = {  # with the block that the tasks on real activations have in addition
    "neighbour smoothing": Point(
        {"smooth": 0.6}, "simple graph convolution, Wu et al. 2019, arXiv:1902.07153", ("smooth", "near", "l2")
    ),
    "smoothing + logconf + L2": Point(
        {"smooth": 0.6, "label": "soft", "rule": "logconf", "rounds": 5, "l2": 0.1},
        "hand combination",
        ("smooth", "near", "l2", "mix"),
    ),
}
