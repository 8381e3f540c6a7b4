"""Tunes every published method over its own scalars: `python -m toprope_tasks.w2s.tune` writes tuned.json.

The default, the grid of levels named in `baselines.METHODS`, and for the strongest methods random points of all their
scalars on top, until there are as many points as a default climb has experiments (fewer where they have no more).
On the 52 dev draws, raced: a point that lies .03 PGR behind the best so far on the first 12 draws goes no further.
`--space grammar|flat --seed K --out FILE` races as many random points of a whole space instead and writes the best one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toprope.space import Space
from toprope.types import Draw, Floats, Json
from toprope_tasks.w2s.baselines import METHODS, TUNED, Method
from toprope_tasks.w2s.space import flat_space, grammar
from toprope_tasks.w2s.table import draws
from toprope_tasks.w2s.trial import accuracy

SEED = 1
BUDGET = 300
SPACES = {"grammar": grammar, "flat": flat_space}
RUNGS = ((12, 0.03), (52, 0.0))  # draws so far, PGR a point may lie behind and still go on


def grid(method: Method) -> list[dict[str, Json]]:
    """The method's default, then every combination of its own levels, then distinct random points of `more`."""
    levels = {d.name: d.levels for d in grammar().dims}
    axes = [[(name, v) for v in _spread(levels[name], count)] for name, count in method.own.items()]
    points = [method.params, *({**method.params, **dict(point)} for point in itertools.product(*axes))]
    if method.more:
        points += _random(method, levels)
    return list({json.dumps(p, sort_keys=True): p for p in points}.values())[:BUDGET]


def _random(method: Method, levels: dict[str, list[Json]]) -> list[dict[str, Json]]:
    """Ten budgets of random points, so that enough distinct ones are left even where there are few (fixed seed)."""
    rng = np.random.default_rng(SEED)
    rows = [{name: levels[name][rng.integers(len(levels[name]))] for name in method.more} for _ in range(10 * BUDGET)]
    return [{**method.params, **row} for row in rows]


def anywhere(space: Space, seed: int) -> list[dict[str, Json]]:
    """The space's default and uniformly random points of it."""
    rng = np.random.default_rng(seed)
    codes = [space.default(), *(rng.integers(0, space.sizes, endpoint=True) for _ in range(BUDGET - 1))]
    return [space.decode(np.asarray(code, dtype=np.uint8)) for code in codes]


def _spread(levels: list[Json], count: int) -> list[Json]:
    """`count` levels evenly over the list, or all of them for 0."""
    where = np.linspace(0, len(levels) - 1, count or len(levels)).round().astype(int)
    return [levels[i] for i in where]


def race(points: list[dict[str, Json]], some: list[Draw]) -> tuple[dict[str, Json], float, int]:
    """The best point, its PGR on all draws, and how many points were seen on all of them."""
    best, incumbent, full = points[0], _scores(points[0], some), 1
    for point in points[1:]:
        scores = np.empty(0)
        for count, slack in RUNGS:
            scores = np.concatenate([scores, _scores(point, some[len(scores) : count])])
            ahead = _value(scores, some) - _value(incumbent[: len(scores)], some)
            if ahead < -slack:
                break
        else:
            full += 1
            if ahead > 0:
                best, incumbent = point, scores
    return best, _value(incumbent, some), full


def _scores(point: dict[str, Json], some: list[Draw]) -> Floats:
    return np.array([accuracy(draw, point) for draw in some])


def _value(scores: Floats, some: list[Draw]) -> float:
    seen = some[: len(scores)]
    return float((scores.sum() - sum(d.floor for d in seen)) / sum(d.ceiling - d.floor for d in seen))


def tune(only: list[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """(method, record) for every method with scalars of its own, or for those named."""
    some = draws("visible", RUNGS[-1][0], SEED)
    for name in only or METHODS:
        method = METHODS[name]
        if method.own:
            points = grid(method)
            best, value, full = race(points, some)
            yield name, {"params": best, "dev": round(value, 4), "points": len(points), "on_all_draws": full}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TUNED)
    parser.add_argument(
        "--only", action="append", default=[], choices=METHODS, help="a method; the others keep their record"
    )
    parser.add_argument("--space", choices=SPACES, help="random search of a whole space; --out gets its best point")
    parser.add_argument("--seed", type=int, default=SEED, help="of the random points, with --space")
    args = parser.parse_args()
    if args.space:
        points = anywhere(SPACES[args.space](), args.seed)
        best, value, full = race(points, draws("visible", RUNGS[-1][0], SEED))
        print(f"dev {value:.4f}, {len(points)} points, {full} of them on all draws")
        args.out.write_text(json.dumps(best) + "\n")
        return
    record: dict[str, object] = {"command": "python -m toprope_tasks.w2s.tune", "seed": SEED}
    methods = json.loads(args.out.read_text())["methods"] if args.only else {}
    for name, entry in tune(args.only):
        methods[name] = entry
        print(f"{name}: {entry}", file=sys.stderr, flush=True)
        args.out.write_text(json.dumps({**record, "methods": methods}, indent=1) + "\n")


if __name__ == "__main__":
    main()
