"""A finished climb as one SVG, for pages: practice and measured values over experiments, then the sealed test.

    python -m studies picture RUN -o docs/first-climb.svg
    python -m studies picture RUN -o docs/tasks/w2s-finetune.svg --transfer      # after `toprope transfer RUN`

The upper figure is that of the run's report. The lower one has the champion, the best baselines, and those named with
--also; a report has all of them. With --transfer the picture is the report's figure of the run's methods on both tasks.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from studies.drawing import save
from toprope import open_run, write_report
from toprope.errors import UsageError
from toprope.figures import WIDTH, Bar, intervals


def main(
    run: Path, output: Path | None = None, best: int = 8, also: tuple[str, ...] = (), transfer: bool = False
) -> None:
    """run: a run's directory, with its test opened. Raises UsageError if it is not, for a name in `also` that belongs
    to none of its baselines, and for a figure that the report does not have."""
    save(reported(run, "one point per method") if transfer else climbed(run, best, set(also)), output)


def climbed(run: Path, best: int, also: set[str]) -> str:
    """The climb, and below it the sealed test."""
    test = open_run(run).test
    if test is None:
        raise UsageError(f"the test of {run} is not opened; `toprope unseal {run}` opens it")
    order = sorted(test.baselines, key=lambda name: -test.baselines[name].value)
    if unknown := also - set(order):
        raise UsageError(f"baseline {unknown.pop()!r} is unknown; the run has {', '.join(order)}")
    shown = [*order[:best], *(name for name in order[best:] if name in also)]
    bars = [Bar("champion", test.champion.value, test.champion.lo, test.champion.hi, "champion")]
    for name in shown:
        e = test.baselines[name]
        bars.append(Bar(name, e.value, e.lo, e.hi, "tuned" if name.endswith("(tuned)") else "default"))
    bars.sort(key=lambda b: -b.value)
    forest = intervals(bars, f"sealed test: the champion and {len(shown)} of {len(order)} baselines, 95 % intervals")
    return stacked([reported(run, "the climb"), forest])


def reported(run: Path, about: str) -> str:
    """The figure of the report, as <svg>, whose label holds `about`. Raises UsageError if no label does."""
    with TemporaryDirectory() as folder:
        page = write_report(run, Path(folder) / "report.html").read_text(encoding="utf-8")
    for figure in re.findall(r"<svg .*?</svg>", page, re.S):
        if about in figure.partition(">")[0]:
            return str(figure)
    raise UsageError(f"the report of {run} has no figure of this kind: {about}")


def stacked(figures: list[str], between: int = 16) -> str:
    """Figures below each other, as one <svg>."""
    parts, top = [], 0.0
    for figure in figures:
        (height,) = map(float, re.findall(rf'viewBox="0 0 {WIDTH} ([\d.]+)"', figure))
        parts.append(figure.replace("<svg ", f'<svg y="{top:g}" width="{WIDTH}" height="{height:g}" ', 1))
        top += height + between
    size = f'viewBox="0 0 {WIDTH} {top - between:g}" role="img" aria-label="a finished climb"'
    return f'<svg {size} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
