"""A duel as text and as a figure: the score of each protocol against each attacker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toprope import figures
from toprope.view import text

CELL, LEFT, TOP = 64, 150, 60
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#222}.note{fill:#666}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}}</style>"
)


def told(result: dict[str, Any]) -> str:
    """The climbs, then the table of the meeting: rows are protocols, columns attackers."""
    lines = []
    for c in result["climbs"]:
        value = f"measured {c['value']:.3f} against its opponents" if c["value"] is not None else "keeps its champion"
        lines.append(f"round {c['round']}  {c['side']:4s}  {c['experiments']} experiments, {value}")
    m = result["meeting"]
    lines += ["", f"score of each protocol (rows) against each attacker, {m['draws']} sealed draws:"]
    head = ["", *names("red", len(m["values"][0])), "worst"]
    rows = [
        [name, *(f"{v:.2f}" for v in values), text.interval(worst)]
        for name, values, worst in zip(names("blue", len(m["values"])), m["values"], m["worst"], strict=True)
    ]
    lines += [text.table([head, *rows]), "", f"recorded in {result['run']}"]
    if "picture" in result:
        lines.append(f"picture: {result['picture']}")
    return "\n".join(lines)


def names(side: str, n: int) -> list[str]:
    return [f"{side} starter", *(f"{side} {i}" for i in range(1, n))]


def write(folder: Path, meeting: dict[str, Any]) -> Path:
    """DIR/duel.svg."""
    path = folder / "duel.svg"
    path.write_text(picture(meeting) + "\n", encoding="utf-8")
    return path


def picture(meeting: dict[str, Any]) -> str:
    """A heat map, protocols down and attackers across, in the order of the rounds."""
    values = meeting["values"]
    parts = [STYLE, f'<text x="{LEFT}" y="20">score of each protocol against each attacker alone</text>']
    for j, name in enumerate(names("red", len(values[0]))):
        parts.append(
            f'<text class="note" x="{LEFT + (j + 0.5) * CELL}" y="{TOP - 10}" text-anchor="middle">{name}</text>'
        )
    for i, (name, row) in enumerate(zip(names("blue", len(values)), values, strict=True)):
        y = TOP + i * CELL / 2
        parts.append(f'<text class="note" x="{LEFT - 10}" y="{y + 20}" text-anchor="end">{name}</text>')
        parts += [_cell(LEFT + j * CELL, y, v) for j, v in enumerate(row)]
    height = TOP + len(values) * CELL / 2 + 20
    return (
        f'<svg viewBox="0 0 {figures.WIDTH} {height:g}" role="img" aria-label="a duel, round by round" '
        'xmlns="http://www.w3.org/2000/svg">' + "".join(parts) + "</svg>"
    )


def _cell(x: float, y: float, value: float) -> str:
    """Darker is safer; the number stands in it."""
    shade = max(0.0, min(1.0, value))
    ink = "#fff" if shade > 0.55 else "#222"
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{CELL / 2 - 2}" fill="#1f5fa8" fill-opacity="{shade:.2f}" '
        f'stroke="#8888"/><text x="{x + CELL / 2 - 1}" y="{y + 20}" text-anchor="middle" style="fill:{ink}">'
        f"{value:.2f}</text>"
    )
