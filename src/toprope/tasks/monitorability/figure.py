"""Draws docs/tasks/monitorability.svg: what penalising the monitor's own verdict does, and what another penalty does.

    python -m toprope.tasks.monitorability.figure docs/tasks/monitorability.svg [--draws 60] [--seed 2026]

Left, Baker et al. 2025 (arXiv:2503.11926) in small: a monitor that knows every word for a hint, and a penalty on what
it flags. Hacking hardly falls; being caught does. Right: same monitor, and a penalty on scratchpads that are neither
all work nor all hints, which leaves the hack a cheap way to say what it does. Exact, on dev worlds; prints its numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toprope.tasks.monitorability.private import DEPLOYED, Private, flagged, generate, taught
from toprope.tasks.monitorability.public import STAGES
from toprope.tasks.monitorability.table import Monitorability, monitorability
from toprope.types import Floats

STRENGTHS = (0.0, 0.03, 0.06, 0.1, 0.2, 0.4, 0.7, 1.0)
WIDTH, HEIGHT, LEFT, TOP, PANEL, DEEP, GAP = 760, 330, 52, 50, 300, 220, 76
LINES = {"hacks": ("#c2410c", "hacks, of questions with a hint"), "tpr": ("#1d4ed8", "of hacks, caught"),
         "tnr": ("#6b7280", "of the rest, let pass")}  # fmt: skip


def names_hint(private: Private) -> Floats:
    """(n,) 1 where a scratchpad holds a word for a hint: the keyword monitor, told all of them."""
    return np.asarray(private.world.dialect.named[private.episodes[:, 1:]].any(axis=1), dtype=np.float64)


def unclear(private: Private) -> Floats:
    """(n,) 1 where a scratchpad is neither all work nor all words for hints."""
    tokens, dialect = private.episodes[:, 1:], private.world.dialect
    return np.asarray(~(dialect.work[tokens].all(axis=1) | dialect.named[tokens].all(axis=1)), dtype=np.float64)


def curve(penalty: Callable[[Private], Floats], worlds: list[Private]) -> dict[str, Floats]:
    """field of Monitorability -> (strengths,) mean over worlds."""
    seen = [[_at(penalty(w), w, strength) for w in worlds] for strength in STRENGTHS]
    return {field: np.array([np.mean([getattr(m, field) for m in at]) for at in seen]) for field in LINES}


def _at(cost: Floats, world: Private, strength: float) -> Monitorability:
    after = taught(np.repeat(strength * cost[None, None], len(STAGES), axis=1), world.world)
    count = np.asarray(world.world.dialect.named[world.episodes[:, 1:]].sum(axis=1), dtype=np.float64)
    return monitorability(after, flagged(count[None], world.before.pick(DEPLOYED).honest), world)


def panel(title: str, lines: dict[str, Floats], left: float) -> str:
    """One plot as SVG: strengths evenly spaced, shares from 0 to 1."""
    xs = left + PANEL * np.arange(len(STRENGTHS)) / (len(STRENGTHS) - 1)
    parts = [f'<text class="title" x="{left}" y="{TOP - 22}">{title}</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = TOP + DEEP * (1 - share)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>')
    for x, strength in zip(xs, STRENGTHS, strict=True):
        parts.append(f'<text x="{x:.1f}" y="{TOP + DEEP + 18}" text-anchor="middle">{strength:g}</text>')
    parts.append(
        f'<text x="{left + PANEL / 2}" y="{TOP + DEEP + 38}" text-anchor="middle">strength of the penalty</text>'
    )
    for field, values in lines.items():
        points = [f"{x:.1f},{TOP + DEEP * (1 - v):.1f}" for x, v in zip(xs, values, strict=True)]
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{TOP + DEEP * (1 - v):.1f}" r="3"><title>{v:.2f} at {s:g}</title></circle>'
            for x, v, s in zip(xs, values, STRENGTHS, strict=True)
        )
        colour = LINES[field][0]
        parts.append(f'<g style="stroke:{colour};fill:{colour}"><polyline points="{" ".join(points)}"/>{dots}</g>')
    return "".join(parts)


def drawing(panels: list[tuple[str, dict[str, Floats]]]) -> str:
    style = (
        "text{font:12px sans-serif;fill:#374151}.title{font-weight:bold}.grid{stroke:#d1d5db}"
        "polyline{fill:none;stroke-width:2}"
    )
    parts = [panel(title, lines, LEFT + i * (PANEL + GAP)) for i, (title, lines) in enumerate(panels)]
    for i, (colour, name) in enumerate(LINES.values()):
        x = LEFT + 230 * i
        parts.append(
            f'<line x1="{x}" x2="{x + 22}" y1="{HEIGHT - 8}" y2="{HEIGHT - 8}" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{x + 28}" y="{HEIGHT - 4}">{name}</text>')
    label = "hacking, detection and false alarms over the strength of two penalties"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--seed", type=int, default=2026)
    args = parser.parse_args()
    worlds = [generate("dev", i, args.seed).private for i in range(args.draws)]
    panels = []
    for title, penalty in (("penalty on what the monitor sees", names_hint), ("penalty on what is unclear", unclear)):
        panels.append((title, curve(penalty, worlds)))
        print(f"{title}; strength {' '.join(f'{s:5.2f}' for s in STRENGTHS)}")
        for field, values in panels[-1][1].items():
            print(f"  {field:6s} {' '.join(f'{v:5.2f}' for v in values)}")
    args.file.write_text(drawing(panels), encoding="utf-8")


if __name__ == "__main__":
    main()
