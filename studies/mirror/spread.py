"""Measures `metric.spread` of the mirror tasks (docs/tasks/mirror.md).

The standard deviation over hidden draws of the score difference of two good candidates (the sketch with all questions
answered, or with one answered wrongly: the eight best of these), median over their pairs. On the public demo dialect.
"""

import numpy as np

from studies.mirror.imitate import PROGRAMS, scores, task
from toprope.tasks.trusted import load
from toprope_tasks.mirror.instance import DEMO, Instance


def spread(name: str, draws: int = 200, best: int = 8) -> float:
    t = task(name, Instance("public demo dialect", DEMO))
    assert t.space is not None
    hidden = [t.generate("test", i, 6) for i in range(draws)]
    sketch, right = load(t.starter()).main, {d.name: getattr(t.dialect, d.name) for d in t.space.dims}
    tried = [right]
    for dim in t.space.dims:
        levels = dim.levels[: len(t.dialect.days)] if dim.name in ("epoch", "start") else dim.levels
        tried.append({**right, dim.name: next(x for x in levels if x != right[dim.name])})
    got = sorted((scores(t, sketch, hidden, p) for p in tried), key=lambda s: -s.mean())[:best]
    return float(np.median([(a - b).std() for i, a in enumerate(got) for b in got[i + 1 :]]))


def main() -> None:
    for name in PROGRAMS:
        print(f"mirror/{name}-v1: {spread(name):.2f}")
