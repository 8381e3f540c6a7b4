"""A finished climb as one SVG, for pages: practice and measured values over experiments, then the sealed test.

    python -m studies picture RUN -o docs/first-climb.svg

The upper figure is that of the run's report. The lower one has the champion, the best baselines, and those named with
--also; a report has all of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from studies.drawing import save
from toprope import open_run, write_report
from toprope.errors import UsageError
from toprope.figures import WIDTH, Bar, intervals


def main(run: Path, output: Path | None = None, best: int = 8, also: tuple[str, ...] = ()) -> None:
    """run: a run's directory, with its test opened. Raises UsageError if it is not, and for a name in `also` that
    belongs to none of its baselines."""
    history = open_run(run)
    test = history.test
    if test is None:
        raise UsageError(f"the test of {run} is not opened; `toprope unseal {run}` opens it")
    order = sorted(test.baselines, key=lambda name: -test.baselines[name].value)
    if unknown := set(also) - set(order):
        raise UsageError(f"baseline {unknown.pop()!r} is unknown; the run has {', '.join(order)}")
    shown = [*order[:best], *(name for name in order[best:] if name in also)]
    bars = [Bar("champion", test.champion.value, test.champion.lo, test.champion.hi, "champion")]
    for name in shown:
        e = test.baselines[name]
        bars.append(Bar(name, e.value, e.lo, e.hi, "tuned" if name.endswith("(tuned)") else "default"))
    bars.sort(key=lambda b: -b.value)
    forest = intervals(bars, f"sealed test: the champion and {len(shown)} of {len(order)} baselines, 95 % intervals")
    save(stacked([climb(run), forest]), output)


def climb(run: Path) -> str:
    """The climb's figure in the report, as <svg>."""
    with TemporaryDirectory() as folder:
        page = write_report(run, Path(folder) / "report.html").read_text(encoding="utf-8")
    figures: list[str] = re.findall(r"<svg .*?</svg>", page, re.S)
    return next(f for f in figures if 'aria-label="the climb' in f)


def stacked(figures: list[str], between: int = 16) -> str:
    """Figures below each other, as one <svg>."""
    parts, top = [], 0.0
    for figure in figures:
        (height,) = map(float, re.findall(rf'viewBox="0 0 {WIDTH} ([\d.]+)"', figure))
        parts.append(figure.replace("<svg ", f'<svg y="{top:g}" width="{WIDTH}" height="{height:g}" ', 1))
        top += height + between
    size = f'viewBox="0 0 {WIDTH} {top - between:g}" role="img" aria-label="a finished climb"'
    return f'<svg {size} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
