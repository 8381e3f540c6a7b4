"""What many methods score on many sources of draws, kept in a cache outside the repository.

A source is a list of draws that is made anew each time, which costs little. The scores cost much; they are kept by
candidate and source and are thrown away if the source's anchors are no longer the same. In this process, no sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope import paths
from toprope.space import Space
from toprope.tasks.trusted import load
from toprope.types import Draw, Floats, Json, candidate_id
from toprope_tasks.w2s.mixed.task import MixedTask
from toprope_tasks.w2s.task import WeakToStrong

Params = Mapping[str, Json]
CLIMBED = Path(__file__).with_name("climbed.json")
CHAMPION = Path("docs/tasks/w2s-champion.json")


class Source(NamedTuple):
    """Scores of m methods on n draws. floors, ceilings, groups: (n,); scores: (m, n) accuracies."""

    floors: Floats
    ceilings: Floats
    groups: NDArray[np.int64]
    scores: Floats

    def values(self, weights: Floats | None = None) -> Floats:
        """(m,) PGR of every method, or (r, m) under (r, n) counts of the draws."""
        u = np.ones(len(self.floors)) if weights is None else weights
        return np.asarray((u @ (self.scores - self.floors).T) / (u @ (self.ceilings - self.floors))[..., None])

    def pick(self, methods: NDArray[Any]) -> Source:
        """The same draws, some methods."""
        return self._replace(scores=self.scores[methods])


def joined(sources: Sequence[Source]) -> Source:
    """Draws of several sources as one; groups of different sources stay apart."""
    start = np.cumsum([0, *(s.groups.max() + 1 for s in sources)])
    groups = [s.groups + first for s, first in zip(sources, start, strict=False)]
    floors, ceilings = ([getattr(s, side) for s in sources] for side in ("floors", "ceilings"))
    scores = np.concatenate([s.scores for s in sources], 1)
    return Source(np.concatenate(floors), np.concatenate(ceilings), np.concatenate(groups), scores)


def distinct(sources: Sequence[Source]) -> NDArray[np.int64]:
    """Numbers of the methods that no earlier one equals on every draw of every source."""
    scores = np.concatenate([s.scores for s in sources], 1)
    return np.sort(np.unique(scores, axis=0, return_index=True)[1])


def methods(random: int, seed: int) -> dict[str, tuple[str, dict[str, Json]]]:
    """Name -> (kind, params). Kinds: `baseline` (default, and tuned on either version), `random` (points of the grammar
    of version 1), `climbed` (best so far, one after another, of recorded climbs; climbed.json)."""
    before, after = WeakToStrong("w2s/probe-v1"), MixedTask("w2s/probe-v2")
    found = {name: ("baseline", dict(b.params)) for name, b in after.baselines().items()}
    found |= {f"{name} on v1": ("baseline", dict(b.params)) for name, b in before.baselines().items() if b.tuned}
    found |= {f"random {i}": ("random", p) for i, p in enumerate(points(before.space, random, seed))}
    found["climbed, docs"] = ("climbed", json.loads(CHAMPION.read_text()))
    for run in json.loads(CLIMBED.read_text()):
        found |= {f"{run['name']} {step['experiment']}": ("climbed", step["params"]) for step in run["steps"]}
    return found


def points(space: Space, count: int, seed: int) -> list[dict[str, Json]]:
    """Random points of a space: every dimension at its default with probability one half, else at any level."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, space.sizes.astype(np.int64) + 1, (count, len(space.dims)))
    return [space.decode(np.where(rng.random(len(row)) < 0.5, space.default(), row).astype(np.uint8)) for row in rows]


def measure(name: str, draws: Sequence[Draw], params: Sequence[Params], cache: Path | None = None) -> Source:
    """Scores of every method on these draws, those that are not in the cache measured now."""
    task = MixedTask("w2s/probe-v2")
    solution, digest = load(task.starter()), task.starter().digest
    names = [candidate_id(digest, p) for p in params]
    anchors = np.array([[d.floor for d in draws], [d.ceiling for d in draws]])
    path = (cache or paths.states("w2s")) / "scores" / f"{name.replace('/', '-').replace(' ', '-')}.npz"
    known = _read(path, anchors)
    missing = {name: p for name, p in zip(names, params, strict=True) if name not in known}
    if missing:
        scores = np.stack([_scores(task, solution.targets, draw, list(missing.values())) for draw in draws], 1)
        known |= dict(zip(missing, scores, strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, anchors=anchors, names=np.array(list(known)), scores=np.stack(list(known.values())))
    groups = np.array([d.group for d in draws], dtype=np.int64)
    return Source(anchors[0], anchors[1], groups, np.stack([known[n] for n in names]))


def _read(path: Path, anchors: Floats) -> dict[str, Floats]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        n = anchors.shape[1]  # more draws than are asked for begin with the same ones
        if not np.array_equal(file["anchors"][:, :n], anchors):
            return {}
        return dict(zip(file["names"].tolist(), file["scores"][:, :n], strict=True))


def _scores(task: WeakToStrong, targets: Callable[..., Any], draw: Draw, params: Sequence[Params]) -> Floats:
    """(m,) accuracies on one draw; every method has the generator that `trusted.outputs` gives it."""
    given = dict(draw.public)
    features, weak = given.pop("pool_features"), given.pop("pool_weak_probs")
    answers = [targets(features, weak, params=p, rng=np.random.default_rng(0), **given) for p in params]
    outputs = {"soft_targets": np.stack([t for t, _ in answers]), "weights": np.stack([u for _, u in answers])}
    return task.score(outputs, draw)
