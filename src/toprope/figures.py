"""Figures as inline SVG: no script, no font, no file from outside, so they work offline and under a strict CSP.

One source for report and pages. Colours are CSS variables (`figures.css`), so a figure follows its
page's theme. Text that a candidate wrote is escaped. Every value that a reader may want to read off has a <title>.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

STYLE = Path(__file__).with_suffix(".css")
WIDTH = 760


class Bar(NamedTuple):
    """One row of an interval figure. kind: champion, sealed, tuned or default; it picks the colour."""

    label: str
    value: float
    lo: float
    hi: float
    kind: str


class Promotion(NamedTuple):
    """A measured champion, at the end of the generation that proposed it. at: experiments or minutes by then."""

    at: float
    value: float
    lo: float
    hi: float


class Line(NamedTuple):
    """One named curve; lo and hi, where given, are the ends of 95 % intervals. Lengths all equal."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    lo: Sequence[float] = ()
    hi: Sequence[float] = ()


class Dot(NamedTuple):
    """One point of a scatter figure. kind: champion, tuned or default; it picks the colour."""

    label: str
    x: float
    y: float
    kind: str


class Chart(NamedTuple):
    """title: a sentence that says what the chart shows. notes: lines under it, such as values read off the curves.
    ticks: (x, words) on the x axis, in place of round numbers. reach: values that the y axis always includes."""

    title: str
    x_axis: str
    y_axis: str
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    ticks: Sequence[tuple[float, str]] = ()
    reach: Sequence[float] = ()


class Scale:
    """Linear map from [low, high] to [start, end] pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self._start, self._step = start, (end - start) / (self.high - self.low)

    def __call__(self, x: float) -> float:
        return round(self._start + (x - self.low) * self._step, 2)

    def ticks(self, about: int = 6) -> list[float]:
        """Round numbers inside the range: steps of 1, 2 or 5 times a power of ten."""
        raw = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def intervals(bars: Sequence[Bar], axis: str, ceiling: float = 1.0, floor: float = 0.0) -> str:
    """The champion and the baselines: one row each with point and interval, between floor and ceiling."""
    row, left, top = 22, 230, 30
    height = top + row * len(bars) + 46
    low = min([floor, *(b.lo for b in bars)])
    high = max([ceiling, *(b.hi for b in bars)])
    x = Scale(low, high, left, WIDTH - 24)
    bottom = top + row * len(bars)
    parts = [_gridlines(x, top - 8, bottom, bottom + 18)]
    for at, name in ((floor, "floor"), (ceiling, "ceiling")):
        parts.append(f'<line class="anchor" x1="{x(at)}" x2="{x(at)}" y1="{top - 8}" y2="{bottom}"/>')
        parts.append(f'<text class="note" x="{x(at)}" y="{top - 14}" text-anchor="middle">{name}</text>')
    for i, b in enumerate(bars):
        y = top + row * i + row / 2
        title = f"<title>{escape(b.label)}: {b.value:.3f} [{b.lo:.3f}, {b.hi:.3f}]</title>"
        parts.append(
            f'<g class="{b.kind}">{title}'
            f'<text class="label" x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(b.label)}</text>'
            f'<line class="whisker" x1="{x(b.lo)}" x2="{x(b.hi)}" y1="{y}" y2="{y}"/>'
            f'<circle cx="{x(b.value)}" cy="{y}" r="{5 if b.kind == "champion" else 3.5}"/></g>'
        )
    parts.append(
        f'<text class="note" x="{(left + WIDTH - 24) / 2}" y="{height - 8}" text-anchor="middle">{escape(axis)}</text>'
    )
    return _svg(height, f"{axis}: champion and baselines with intervals", parts)


def shares(bars: Sequence[Bar], axis: str) -> str:
    """Shares from 0 as horizontal bars; a mark at `hi` of each says what chance gives."""
    row, left, top = 22, 230, 12
    bottom = top + row * len(bars)
    x = Scale(0.0, max(0.02, *(b.value for b in bars), *(b.hi for b in bars)), left, WIDTH - 24)
    parts = [_gridlines(x, top, bottom, bottom + 18)]
    for i, b in enumerate(bars):
        y = top + row * i
        title = f"<title>{escape(b.label)}: {b.value:.4f}; by chance up to {b.hi:.4f}</title>"
        parts.append(
            f'<g class="{b.kind}">{title}<text class="label" x="{left - 12}" y="{y + 15}" text-anchor="end">'
            f'{escape(b.label[:34])}</text><rect x="{left}" y="{y + 4}" width="{x(b.value) - left:g}" height="14"/></g>'
            f'<line class="chance" x1="{x(b.hi)}" x2="{x(b.hi)}" y1="{y + 2}" y2="{y + 20}"/>'
        )
    middle = (left + WIDTH - 24) / 2
    parts.append(f'<text class="note" x="{middle}" y="{bottom + 38}" text-anchor="middle">{escape(axis)}</text>')
    return _svg(bottom + 46, axis, parts)


def climb(
    at: Sequence[float],
    best: Sequence[float],
    promotions: Sequence[Promotion],
    end: float,
    axis: str,
    practice: str = "practice",
    hidden: str = "fresh data",
    *,
    sealed: Bar | None = None,
    unit: str = "experiments",
    reach: Sequence[float] = (),
    width: int = WIDTH,
    height: int = 320,
) -> str:
    """Dev, measured and sealed on one axis: best dev value as a step line; measured champions as points with intervals;
    the sealed test as a point with its interval, right of the end of the climb.

    at: of each best value, in `unit`. practice, hidden: what the draws of the line and of the points are made of.
    reach: values that the y axis always includes. width, height: of the view box, in pixels."""
    left, top, aside = 52, 26, 64 if sealed is not None else 0
    bottom, right = height - 48, width - 24 - aside
    after = [sealed.lo, sealed.hi] if sealed is not None else []
    values = [*best, *(p.lo for p in promotions), *(p.hi for p in promotions), *after, *reach, 0.0]
    x, y = Scale(0, end or 1, left, right), Scale(min(values), max(values) * 1.05, bottom, top)
    about = 6 if width > 500 else 3
    parts = [_gridlines(x, top, bottom, bottom + 18, about=about), _levels(y, left, right + aside)]
    if best:
        path = f"M{x(at[0])},{y(best[0])}"
        for here, value in zip(at[1:], best[1:], strict=True):
            path += f"H{x(here)}V{y(value)}"
        parts.append(f'<path class="dev" d="{path}H{x(end)}"/>')
    for i, p in enumerate(promotions):
        until = promotions[i + 1].at if i + 1 < len(promotions) else end
        title = f"<title>found by {unit} {p.at:g}: measured {p.value:.3f} [{p.lo:.3f}, {p.hi:.3f}]</title>"
        here, level = x(p.at), y(p.value)
        parts.append(
            f'<g class="champion">{title}'
            f'<line class="held" x1="{here}" x2="{x(until)}" y1="{level}" y2="{level}"/>'
            f'<line class="whisker" x1="{here}" x2="{here}" y1="{y(p.lo)}" y2="{y(p.hi)}"/>'
            f'<circle cx="{here}" cy="{level}" r="5"/></g>'
        )
    parts += _named(x(end), best, promotions, (x, y), practice, hidden)
    if sealed is not None:
        parts += _sealed(sealed, right, right + aside / 2, y, (top, bottom))
    parts.append(
        f'<text class="note" x="{(left + right) / 2}" y="{height - 8}" text-anchor="middle">{escape(unit)}</text>'
    )
    parts.append(f'<text class="note" x="{left - 40}" y="{top - 12}">{escape(axis)}</text>')
    return _svg(height, f"the climb: best dev value, measured champions and sealed test over {unit}", parts, width)


def _named(
    end: float, best: Sequence[float], promotions: Sequence[Promotion], scales: tuple[Scale, Scale], *words: str
) -> list[str]:
    """The names of the line and of the last champion, at the end of the climb: the higher one's above it, the other's
    below. end: in pixels. scales: of x and y. words: what the draws of both are made of."""
    x, y = scales
    last = promotions[-1] if promotions else None
    over = not best or last is None or best[-1] >= last.value  # the line lies higher
    parts = []
    if best:
        parts.append(_said("dev-label", end - 4, y(best[-1]) + (-8 if over else 16), f"best dev ({words[0]})", "end"))
    if last is not None:
        beside = end - x(last.at) < 260  # so near that the name could lie on the whisker
        low, high = (last.lo, last.hi) if beside else (last.value, last.value)
        at = y(low) + 16 if over else y(high) - 8
        parts.append(_said("champion-label", end - 4, at, f"champion, measured on {words[1]}", "end"))
    return parts


def _sealed(test: Bar, border: float, x: float, y: Scale, sides: tuple[float, float]) -> list[str]:
    """The sealed test right of a line that ends the climb. sides: the top and the bottom of the plot."""
    top, bottom = sides
    title = f"<title>{escape(test.label)}: {test.value:.3f} [{test.lo:.3f}, {test.hi:.3f}]</title>"
    at = y(test.value)
    return [
        f'<line class="anchor" x1="{border}" x2="{border}" y1="{top}" y2="{bottom}"/>',
        f'<g class="sealed">{title}<line class="whisker" x1="{x}" x2="{x}" y1="{y(test.lo)}" y2="{y(test.hi)}"/>'
        f'<path d="M{x},{at - 8}l8,8l-8,8l-8,-8z"/></g>',
        _said("sealed-label", x, y(test.hi) - 21, "sealed"),
        _said("sealed-label", x, y(test.hi) - 7, f"{test.value:.3f}"),
    ]


def curves(chart: Chart) -> str:
    """Named lines over one axis, each labelled at its end; intervals as bands."""
    return _svg(340, chart.title, _curves(chart, 340))


def scatter(dots: Sequence[Dot], x_axis: str, y_axis: str) -> str:
    """Points on two axes; the one named champion is drawn last and largest."""
    left, top, height = 60, 22, 400
    bottom, right = height - 48, WIDTH - 24
    x = Scale(min(d.x for d in dots), max(d.x for d in dots), left + 12, right - 12)
    y = Scale(min(d.y for d in dots), max(d.y for d in dots), bottom - 12, top + 12)
    parts = [_gridlines(x, top, bottom, bottom + 18), _levels(y, left, right)]
    for d in sorted(dots, key=lambda d: d.kind == "champion"):
        title = f"<title>{escape(d.label)}: {d.x:.3f}, {d.y:.3f}</title>"
        radius = 6 if d.kind == "champion" else 3.5
        parts.append(f'<g class="{d.kind}">{title}<circle cx="{x(d.x)}" cy="{y(d.y)}" r="{radius}"/></g>')
    middle = (left + right) / 2
    parts.append(f'<text class="note" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(x_axis)}</text>')
    parts.append(f'<text class="note" x="{left - 48}" y="{top - 8}">{escape(y_axis)}</text>')
    return _svg(height, f"{y_axis} over {x_axis}, one point per method", parts)


def stack(title: str, charts: Sequence[Chart]) -> str:
    """Charts of curves, one below the other, each with its own title."""
    above, height = 28, 260
    step, parts = above + height, []
    for i, chart in enumerate(charts):
        inside = "".join(_curves(chart, height))
        parts.append(f'<text class="title" x="12" y="{step * i + 18}">{escape(chart.title)}</text>')
        parts.append(f'<g transform="translate(0 {step * i + above})">{inside}</g>')
    return _svg(step * len(charts), title, parts)


def _curves(chart: Chart, height: int) -> list[str]:
    left, top = 52, 22
    bottom, right = height - 48, WIDTH - 190
    xs = [v for line in chart.lines for v in line.x]
    ys = [*chart.reach, *(v for line in chart.lines for v in (*line.y, *line.lo, *line.hi))]
    x, y = Scale(min(xs), max(xs), left, right), Scale(min(ys), max(ys), bottom, top)
    parts = [_gridlines(x, top, bottom, bottom + 18, chart.ticks), _levels(y, left, right)]
    places = _apart([y(line.y[-1]) for line in chart.lines], 15, top, bottom)
    for i, (line, place) in enumerate(zip(chart.lines, places, strict=True)):
        points = [f"{x(a)},{y(b)}" for a, b in zip(line.x, line.y, strict=True)]
        band = ""
        if line.lo:
            upper = [f"{x(a)},{y(b)}" for a, b in zip(line.x, line.hi, strict=True)]
            lower = [f"{x(a)},{y(b)}" for a, b in zip(line.x, line.lo, strict=True)]
            band = f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>'
        parts.append(
            f'<g class="line-{i % 6}">{band}<polyline class="curve" points="{" ".join(points)}"/>'
            f'<text class="name" x="{right + 8}" y="{place + 4}">{escape(line.label)}</text></g>'
        )
    middle = (left + right) / 2
    parts.append(f'<text class="note" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(chart.x_axis)}</text>')
    parts.append(f'<text class="note" x="{left - 40}" y="{top - 8}">{escape(chart.y_axis)}</text>')
    return parts


def _apart(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Heights near the wanted ones, at least `gap` apart where there is room."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    found, last = list(wanted), top - gap
    for i in order:
        found[i] = last = max(wanted[i], last + gap)
    for i in reversed(order):
        found[i] = min(found[i], bottom)
        bottom = found[i] - gap
    return found


def _said(kind: str, x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _gridlines(
    x: Scale, top: float, bottom: float, text_y: float, ticks: Sequence[tuple[float, str]] = (), about: int = 6
) -> str:
    return "".join(
        f'<line class="grid" x1="{x(t)}" x2="{x(t)}" y1="{top}" y2="{bottom}"/>'
        f'<text class="tick" x="{x(t)}" y="{text_y}" text-anchor="middle">{escape(words)}</text>'
        for t, words in ticks or [(t, _round(t)) for t in x.ticks(about)]
    )


def _levels(y: Scale, left: float, right: float) -> str:
    return "".join(
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y(t)}" y2="{y(t)}"/>'
        f'<text class="tick" x="{left - 8}" y="{y(t) + 4}" text-anchor="end">{t:g}</text>'
        for t in y.ticks()
    )


def _round(number: float) -> str:
    """A tick: large numbers with commas, others as short as they go."""
    return f"{number:,.0f}" if number >= 10_000 else f"{number:g}"


def _svg(height: float, label: str, parts: Sequence[str], width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
        + "".join(parts)
        + "</svg>"
    )


def standalone_svg(figure: str) -> str:
    """The same SVG as a file of its own, with its style sheet inside."""
    head, body = figure.split(">", 1)
    return f"{head}><style>{STYLE.read_text(encoding='utf-8')}</style>{body}\n"


PAGE = "svg { background: var(--page); }"  # of a figure without a page around it, so that its text can be read


@dataclass(frozen=True, repr=False)
class Figure:
    """A figure that a notebook shows by itself. svg: a whole SVG file, without script or outside references, that
    follows the light or dark theme of its reader."""

    svg: str

    @classmethod
    def of(cls, inline: str) -> Figure:
        """The figure that a function of this module made for a page."""
        head, style, rest = standalone_svg(inline).partition("<style>")
        return cls(f"{head}{style}{PAGE}{rest}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the SVG file. Raises OSError where that cannot be done."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        """As an image, because the figure's style must not reach the other figures of a notebook."""
        data = base64.b64encode(self.svg.encode()).decode()
        label = self.svg.partition('aria-label="')[2].partition('"')[0]  # escaped when the figure was made
        return f'<img alt="{label}" style="width: 100%; max-width: {WIDTH}px" src="data:image/svg+xml;base64,{data}">'

    def __repr__(self) -> str:
        return f"<Figure of {len(self.svg):,} bytes of SVG; .save(FILE) writes it>"
