"""The search space: a grammar of method blocks. A point names blocks and their settings; `starter/` carries it out.

Slots are blocks with their settings, so crossover trades a parent's filter or relabelling rule whole. The default point
is vanilla: hard weak labels, equal weights, the referee's student. `flat_space` is the same in ten plain numbers.
"""

from __future__ import annotations

import msgspec

from toprope.space import Dim, Space, all_but, choice, given, linear, log

Slot = list[Dim]


def _ladder(name: str, levels: list[float], default: float) -> Dim:
    return Dim(name, list(levels), levels.index(default), ordered=True)


SMOOTH = _ladder("smooth", [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], 0.0)
VOTED = choice("vote", ["none", "knn", "kmeans", "diffuse"])
FILTERED = choice("filter", ["none", "confidence", "agree", "overlap", "density", "knn", "loss"])
WEIGHTED = choice("weight", ["none", "confidence", "margin"])
RULE = choice("rule", ["none", "logconf", "entropy", "bootstrap", "product", "em"])
ENSEMBLED = choice("ensemble", ["none", "bag", "axes"])

SMOOTHING: Slot = [SMOOTH, *given([_ladder("near", [5, 10, 20, 40, 80], 10)], all_but(SMOOTH, 0.0))]
BASIS: Slot = [
    _ladder("rank", [3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 0], 0),  # 0: all
    linear("power", -1, 1, 9, 0),
]
LABEL: Slot = [
    choice("label", ["hard", "soft", "sharp"]),
    *given([_ladder("sharpness", [0.25, 0.5, 1.0, 2.0, 4.0], 1.0)], {"label": ["sharp"]}),
    choice("balance", ["none", "median"]),
]
VOTE: Slot = [
    VOTED,
    *given(
        [_ladder("vote_rank", [4, 6, 8, 12, 16, 24, 32, 0], 0), linear("vote_power", -1, 1, 9, 0)],
        all_but(VOTED, "none"),
    ),
    *given([_ladder("neighbours", [10, 20, 30, 50, 80, 120], 50)], {"vote": ["knn"]}, {"filter": ["density", "knn"]}),
    *given(
        [_ladder("clusters", [6, 8, 10, 12, 16, 24, 32, 48, 64], 32), _ladder("runs", [1, 2, 4], 1)],
        {"vote": ["kmeans"]},
    ),
    *given(
        [
            _ladder("bandwidth", [0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3], 0.07),
            _ladder("steps", [1, 2, 3, 5, 10, 20], 5),
        ],
        {"vote": ["diffuse"]},
    ),
    *given(
        [
            _ladder("trust", [0.0, 0.5, 1.0, 2.0, 3.0], 0.0),
            linear("blend", 0.25, 1, 4, 1),
            choice("harden", ["none", "half", "match"], 2),
        ],
        all_but(VOTED, "none"),
    ),
]
FILTER: Slot = [
    FILTERED,
    *given([linear("keep", 0.1, 0.9, 9, 0.5), choice("even", [False, True])], all_but(FILTERED, "none", "agree")),
]
WEIGHT: Slot = [
    WEIGHTED,
    *given([_ladder("weight_power", [0.5, 1.0, 2.0, 3.0], 1.0)], all_but(WEIGHTED, "none")),
]
MODEL: Slot = [
    choice("loss", ["ce", "gce", "square"]),
    *given([linear("gce", 0.1, 1, 10, 0.7)], {"loss": ["gce"]}),
    log("l2", 1e-3, 3, 15, 1e-3),
]
ROUNDS: Slot = [
    RULE,
    *given([_ladder("rounds", [1, 2, 3, 5, 8], 3)], all_but(RULE, "none")),
    *given([linear("mix", 0.1, 1, 10, 0.5)], {"rule": ["logconf", "entropy"]}),
    *given([linear("alpha", 0.25, 2, 8, 1), linear("beta", 0.25, 2, 8, 1)], {"rule": ["product"]}),
    *given(
        [
            choice("folds", [1, 2]),
            _ladder("l2_rounds", [0.5, 0.7, 1.0, 1.3, 1.6], 1.0),
            _ladder("refilter", [0.3, 0.5, 0.7, 0.9, 1.0], 1.0),
        ],
        all_but(RULE, "none"),
    ),
]
ENSEMBLE: Slot = [ENSEMBLED, *given([_ladder("members", [2, 3], 3)], all_but(ENSEMBLED, "none"))]
ANSWER: Slot = [choice("answer", ["soft", "hard"]), choice("cut", ["half", "match", "median"])]


def grammar() -> Space:
    """36 dimensions in 9 slots; its default() is vanilla."""
    return _space(BASIS, LABEL, VOTE, FILTER, WEIGHT, MODEL, ROUNDS, ENSEMBLE, ANSWER)


def smoothing_grammar() -> Space:
    """The grammar of the tasks on real activations: 38 dimensions in 10 slots, smoothing over neighbours first."""
    return _space(SMOOTHING, BASIS, LABEL, VOTE, FILTER, WEIGHT, MODEL, ROUNDS, ENSEMBLE, ANSWER)


def flat_space() -> Space:
    """Ten scalars without blocks, each its own slot: what the grammar is compared with at equal budget."""
    wanted = ("rank", "power", "sharpness", "blend", "keep", "weight_power", "l2", "rounds", "mix", "refilter")
    fixed = {"label": "sharp", "vote": "diffuse", "filter": "confidence", "weight": "confidence", "rule": "logconf"}
    dims = {d.name: d for d in grammar().dims}
    plain = [[msgspec.structs.replace(dims[name], when=[])] for name in wanted]  # `fixed` gives all of them an effect
    return _space(*plain, *([Dim(name, [value])] for name, value in fixed.items()))


def _space(*slots: Slot) -> Space:
    numbers, start = [], 0
    for slot in slots:
        numbers.append(list(range(start, start + len(slot))))
        start += len(slot)
    return Space([d for slot in slots for d in slot], numbers)
