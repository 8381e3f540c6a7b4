"""The figure of docs/tasks/control.md, and its numbers: `python -m toprope.tasks.control.figure [--svg FILE]`.

Left and middle: what audits of a share of tasks prevent, with one sample and with four of which the least suspicious is
submitted, audited on the most or on the least suspicious; the attacker flips a coin per sample (left) or one per task
(middle). Audit on the maximum is best at every budget, by most at tiny ones (Lucassen & Kaufman 2026,
arXiv:2605.26047); against an attacker that colludes with itself resampling prevents nothing without an audit. Right:
worst-case safety against usefulness of protocols whose threshold to defer is swept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprope.tasks.control import private
from toprope.tasks.control.closed import threshold
from toprope.tasks.control.deployment import FIRST, FURTHER, Deployment, outcome
from toprope.tasks.control.public import SAMPLES, TASKS
from toprope.tasks.control.trusted import Members, Params
from toprope.types import Floats

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


def _played(world: private.Private, params: Params, public: dict[str, NDArray[np.generic]]) -> tuple[float, float]:
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


def lines(left: Floats, middle: Floats, right: dict[str, Floats]) -> Iterator[str]:
    for title, values in (("a coin per sample", left), ("a coin per task", middle)):
        yield f"{title:24s}" + "".join(f"{100 * b:7g} %" for b in BUDGETS)
        for name, row in zip(RULES, values, strict=True):
            yield f"  {name:22s}" + "".join(f"{v:9.3f}" for v in row)
    yield "defer from (nats)       " + "".join(f"{x:9g}" for x in DEFER)
    for name, points in right.items():
        yield f"  {name:16s} useful" + "".join(f"{v:9.3f}" for v in points[:, 0])
        yield f"  {name:16s} safe  " + "".join(f"{v:9.3f}" for v in points[:, 1])


# ---------------------------------------------------------------- as a picture

COLOURS = ("#1f5fa8", "#c2410c", "#6b7280", "#15803d")
WIDTH, HEIGHT, BOX, GAP, TOP = 760, 330, 190, 55, 40
STYLE = (
    "<style>text{font:11px system-ui,sans-serif;fill:#222}.grid{stroke:#8884}.axis{stroke:#888}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>"
)


def picture(left: Floats, middle: Floats, right: dict[str, Floats]) -> str:
    logs = (np.log10(BUDGETS) - np.log10(BUDGETS[0])) / np.log10(BUDGETS[-1] / BUDGETS[0])
    ticks = [(float(x), f"{100 * b:g}") for x, b in zip(logs, BUDGETS, strict=True)]
    parts = [STYLE]
    for number, (title, rows) in enumerate((("a coin per sample", left), ("a coin per task", middle))):
        parts += _panel(number, title, "audit budget, % of tasks", ticks)
        parts += [_line(number, np.stack([logs, row], axis=1), COLOURS[i]) for i, row in enumerate(rows)]
    parts += _panel(2, "worst-case safety", "usefulness", [(v, f"{v:g}") for v in (0.0, 0.5, 1.0)])
    parts += [_line(2, points, COLOURS[i]) for i, points in enumerate(right.values())]
    parts += _legend(0, RULES) + _legend(2, list(right))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="harm prevented by audits; safety and usefulness" '
        'xmlns="http://www.w3.org/2000/svg">' + "".join(parts) + "</svg>"
    )


def _at(panel: int, x: float, y: float) -> tuple[float, float]:
    return round(40 + panel * (BOX + GAP) + x * BOX, 1), round(TOP + (1 - y) * BOX, 1)


def _panel(panel: int, title: str, axis: str, ticks: Sequence[tuple[float, str]]) -> list[str]:
    (x0, y0), (x1, _) = _at(panel, 0, 0), _at(panel, 1, 1)
    parts = [f'<text x="{x0}" y="{TOP - 14}">{title}</text>']
    for y in (0.0, 0.25, 0.5, 0.75, 1.0):
        height = _at(panel, 0, y)[1]
        parts.append(f'<line class="grid" x1="{x0}" x2="{x1}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text x="{x0 - 6}" y="{height + 4}" text-anchor="end">{y:g}</text>')
    for x, label in ticks:
        parts.append(f'<text x="{_at(panel, x, 0)[0]}" y="{y0 + 15}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{(x0 + x1) / 2}" y="{y0 + 30}" text-anchor="middle">{axis}</text>')
    return parts


def _line(panel: int, points: Floats, colour: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in (_at(panel, *p) for p in points.tolist()))
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _legend(panel: int, names: Sequence[str]) -> list[str]:
    x, y = _at(panel, 0, 0)
    return [
        f'<line x1="{x}" x2="{x + 16}" y1="{y + 42 + 13 * i}" y2="{y + 42 + 13 * i}" stroke="{COLOURS[i]}" '
        f'stroke-width="2"/><text x="{x + 22}" y="{y + 46 + 13 * i}">{name}</text>'
        for i, name in enumerate(names)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture there")
    args = parser.parse_args()
    left, middle, right = prevented(False), prevented(True), curves()
    for line in lines(left, middle, right):
        print(line)
    if args.svg is not None:
        args.svg.write_text(picture(left, middle, right) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
