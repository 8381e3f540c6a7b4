"""What `control/protocol-v1` pays for playing the same at every level of care (docs/tasks/control.md).

The operator's wish is overwritten before the starter sees it: three levels, three estimates of one point. Under three
rules for the level that counts at a required usefulness, on test draws (seed 2026), mean ± standard error:

value      of all three together, where the wish is seen, and the same with eight times the lanes, in the same worlds
luck       of all three together beyond the mean of each alone, where the wish is overwritten: a gain for no skill
wish       what seeing the wish is worth beyond that, and the same with more lanes: where the first is less, a
           protocol that ignores the wish is overpaid
"""

from collections.abc import Callable
from unittest.mock import patch

import msgspec
import numpy as np

from studies.control.play import outputs
from toprope.tasks import registry
from toprope.types import Draw, Floats, Tree
from toprope_tasks.control import private

TASK = registry.load("control/protocol-v1")
BASELINES = TASK.baselines()
POINTS = {name: BASELINES[name].params for name in ("trusted-monitoring", "resample", "resample (tuned)")}
MORE = 8  # times the lanes


def best(useful: Floats, worst: Floats, low: float, high: float) -> Floats:
    """Of levels that are useful enough the safest counts."""
    order = np.argsort(-useful, axis=1)
    useful, worst = (np.take_along_axis(x, order, axis=1) for x in (useful, worst))
    return steps(useful, np.maximum.accumulate(worst, axis=1), low, high)


def least_useful(useful: Floats, worst: Floats, low: float, high: float) -> Floats:
    """Of levels that are useful enough the least useful counts."""
    order = np.argsort(-useful, axis=1)
    useful, worst = (np.take_along_axis(x, order, axis=1) for x in (useful, worst))
    return steps(useful, worst, low, high)


def own(useful: Floats, worst: Floats, low: float, high: float) -> Floats:
    """Each level counts in a third of its own: the rule in force."""
    return private._beyond(useful, worst, low, high)


def steps(useful: Floats, worst: Floats, low: float, high: float) -> Floats:
    """Share of the area; each level counts down to the usefulness of the next, most useful first."""
    below = np.concatenate([np.clip(useful[:, 1:], low, high), np.full((len(useful), 1), low)], axis=1)
    upper = np.clip(useful, below, high)
    start = np.clip(1.0 - worst, below, upper)
    area = (worst - 1.0) * (upper - start) + (upper**2 - start**2) / 2
    return np.asarray(area.sum(axis=1) / ((high**2 - low**2) / 2))


RULES = {"best": best, "least useful": least_useful, "own third": own}


def value(rule: Callable[..., Floats], useful: Floats, safe: Floats) -> Floats:
    """(k,) as private.score, under this rule."""
    worst = safe.min(axis=2)
    return (rule(useful, worst, 0.0, 1.0) + rule(useful, worst, *private.REQUIRED)) / 2


def alone(rule: Callable[..., Floats], useful: Floats, safe: Floats) -> Floats:
    """(k,) mean over levels of what three copies of one are worth."""
    levels = range(useful.shape[1])
    each = [value(rule, useful[:, [i, i, i]], safe[:, [i, i, i]]) for i in levels]
    return np.asarray(np.mean(each, axis=0))


def deaf(care: float) -> Tree:
    """The starter with the operator's wish overwritten."""
    source = TASK.starter().files["solution.py"].decode()
    first = "    p = {**DEFAULTS, **params}\n    if state"
    assert first in source
    said = f"    observation = observation.copy()\n    observation[:, CARE] = {care}\n"
    return Tree({"solution.py": source.replace(first, said + first, 1).encode()})


def drawn(index: int) -> tuple[Draw, Draw]:
    """A draw, and one of the same world with MORE times the lanes."""
    few = TASK.generate("test", index, 2026)
    calm = (private.CALM[0] * MORE, private.CALM[1] * MORE)
    with patch.object(private, "LANES", private.LANES * MORE), patch.object(private, "CALM", calm):
        many = TASK.generate("test", index, 2026)
    lanes = msgspec.structs.replace(many.private.lanes, audits=few.private.lanes.audits)
    return few, msgspec.structs.replace(many, private=msgspec.structs.replace(many.private, lanes=lanes))


def main(*, draws: int = 120) -> None:
    trees: dict[object, Tree] = {"wish": TASK.starter(), **{care: deaf(care) for care in (0.0, 0.5, 1.0)}}
    points = list(POINTS.values())
    played: dict[tuple[int, object], list[tuple[Floats, Floats]]] = {}
    for index in range(draws):
        for size, draw in enumerate(drawn(index)):
            for key, tree in trees.items():
                out = outputs(TASK, tree, draw, points)
                played.setdefault((size, key), []).append((out["usefulness"], out["safety"]))
    for rule in RULES:
        found = {key: np.array([value(RULES[rule], *o) for o in each]) for key, each in played.items()}
        lone = {key: np.array([alone(RULES[rule], *o) for o in each]) for key, each in played.items()}
        for i, name in enumerate(POINTS):
            values = [said(found[size, "wish"][:, i]) for size in (0, 1)]
            print(f"{rule:13} {name:19} value {values[0]}, more lanes {values[1]}")
            for care in (0.0, 0.5, 1.0):
                few, many = ((found[size, "wish"] - found[size, care])[:, i] for size in (0, 1))
                luck = (found[0, care] - lone[0, care])[:, i]
                print(f"  always {care}: luck {said(luck)}  wish {said(few)}, more lanes {said(many)}", flush=True)


def said(x: Floats) -> str:
    return f"{x.mean():+.3f} ± {x.std(ddof=1) / np.sqrt(len(x)):.3f}"
