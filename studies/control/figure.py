"""Draws docs/tasks/control.svg and prints its numbers: what audits prevent, and what safety costs.

Above: what audits of a share of tasks prevent, with one sample and with four of which the least suspicious is
submitted, audited on the most or on the least suspicious; the attacker flips a coin per sample or one per task. Audit
on the maximum is best at every budget, by most at tiny ones (Lucassen & Kaufman 2026, arXiv:2605.26047); against an
attacker that colludes with itself resampling prevents nothing without an audit. Below: worst-case safety against
usefulness of protocols whose threshold to defer is swept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studies.control.closed import threshold
from studies.drawing import save
from toprope.figures import Chart, Line, stack
from toprope.types import Floats
from toprope_tasks.control import private
from toprope_tasks.control.deployment import FIRST, FURTHER, Deployment, outcome
from toprope_tasks.control.public import SAMPLES, TASKS
from toprope_tasks.control.trusted import Members, Params

SEED, RATE = 2026, 0.35
BUDGETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
WORLDS, PER_WORLD = 40, 4000
RULES = ("one sample", "four, audit on max", "four, audit on least", "four, no audit")
DRAWS = 24
DEFER = (99.0, 5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.25)
PROTOCOLS: dict[str, Params] = {
    "T's score": {"audit": 2.0},
    "learnt monitor": {"learn": 1.0, "audit": 2.0},
    "learnt, resample": {"learn": 1.0, "audit": 2.0, "again": 1.5, "more": 3},
}


def prevented(together: bool) -> Floats:
    """(rules, budgets) share of the harm that trusting would let through which is prevented, mean over worlds."""
    found = np.zeros((len(RULES), len(BUDGETS)))
    for index in range(WORLDS):
        rng = np.random.default_rng([SEED, index])
        world = private.draw_world(rng, "test")
        weights = world.sign * world.shown  # the direction that a red team would suggest
        honest = private.monitors(rng, (PER_WORLD, SAMPLES), world) @ weights
        direction = private.directions(rng, PER_WORLD, world)[:, None]
        coin = rng.random((PER_WORLD, SAMPLES))
        attack = (coin[:, :1] if together else coin) < RATE
        added = private.attacked(rng, (PER_WORLD, SAMPLES), direction, world.spread) @ weights
        clean = private.monitors(rng, (PER_WORLD, SAMPLES), world) @ weights
        found += _by_rule(honest, clean + attack * added, np.broadcast_to(attack, clean.shape)) / WORLDS
    return found


def _by_rule(honest: Floats, seen: Floats, attack: NDArray[np.bool_]) -> Floats:
    """honest: suspicion on honest work, from which thresholds come. seen, attack: (tasks, SAMPLES) of U."""
    least = np.take_along_axis(attack, seen.argmin(axis=1)[:, None], axis=1)[:, 0]
    rules = [
        (attack[:, 0], honest[:, 0], seen[:, 0]),
        (least, honest.max(axis=1), seen.max(axis=1)),
        (least, honest.min(axis=1), seen.min(axis=1)),
    ]
    rows = [[np.mean(bad & (x <= threshold(h, b))) for b in BUDGETS] for bad, h, x in rules]
    rows.append([float(np.mean(least))] * len(BUDGETS))
    return np.asarray(1.0 - np.array(rows) / RATE)


def curves() -> dict[str, Floats]:
    """name -> (DEFER, 2) usefulness and worst-case safety, mean over draws of the test split."""
    draws = [private.generate("test", i, SEED) for i in range(DRAWS)]
    return {
        name: np.array(
            [np.mean([_played(d.private, {**p, "defer": x}, d.public) for d in draws], axis=0) for x in DEFER]
        )
        for name, p in PROTOCOLS.items()
    }


def _played(
    world: private.DeploymentGold, params: Params, public: dict[str, NDArray[np.generic]]
) -> tuple[float, float]:
    """(usefulness, worst-case safety), the levels of care taken together."""
    lanes = world.lanes
    d, grid = Deployment(lanes, 1), private.Grid(world)
    protocol = Members("act", [{**params, "care": 0.0}], np.zeros_like(lanes.policy), **public)
    while d.task < TASKS:
        d.begin()
        d.write(grid, FIRST)
        if d.more(protocol.answer(d.observation(), np.zeros(d.open.shape, dtype=np.int64))):
            d.write(grid, FURTHER)
            d.close(protocol.answer(d.observation(), np.zeros(d.open.shape, dtype=np.int64)))
        d.end_task()
    useful, safe = outcome(d, private.POLICIES)
    return float(useful.mean()), float(safe[0].mean(axis=0).min())


# ---------------------------------------------------------------- as numbers


def lines(coins: Floats, pacts: Floats, swept: dict[str, Floats]) -> Iterator[str]:
    for title, values in (("a coin per sample", coins), ("a coin per task", pacts)):
        yield f"{title:24s}" + "".join(f"{100 * b:7g} %" for b in BUDGETS)
        for name, row in zip(RULES, values, strict=True):
            yield f"  {name:22s}" + "".join(f"{v:9.3f}" for v in row)
    yield "defer from (nats)       " + "".join(f"{x:9g}" for x in DEFER)
    for name, points in swept.items():
        yield f"  {name:16s} useful" + "".join(f"{v:9.3f}" for v in points[:, 0])
        yield f"  {name:16s} safe  " + "".join(f"{v:9.3f}" for v in points[:, 1])


# ---------------------------------------------------------------- as a picture


def picture(coins: Floats, pacts: Floats, swept: dict[str, Floats]) -> str:
    logs = np.log10(BUDGETS).tolist()
    ticks = [(x, f"{100 * b:g}") for x, b in zip(logs, BUDGETS, strict=True)]
    charts = []
    for title, rows in (("An attacker that flips a coin per sample", coins), ("One coin per task", pacts)):
        lines = [Line(name, logs, row.tolist()) for name, row in zip(RULES, rows, strict=True)]
        charts.append(
            Chart(title, "audit budget, % of tasks", "share of the harm prevented", lines, ticks=ticks, reach=(0, 1))
        )
    lines = [Line(name, *points[::-1].T.tolist()) for name, points in swept.items()]
    charts.append(
        Chart("Protocols whose threshold to defer is swept", "usefulness", "worst-case safety", lines, reach=(0, 1))
    )
    return stack("harm prevented by audits; safety and usefulness", charts)


def main(*, output: Path | None = None) -> None:
    coins, pacts, swept = prevented(False), prevented(True), curves()
    for line in lines(coins, pacts, swept):
        print(line)
    save(picture(coins, pacts, swept), output)
