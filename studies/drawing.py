"""Charts of a study on the page and on paper."""

from __future__ import annotations

from pathlib import Path

from toprope.figures import Chart, curves, standalone_svg


def show(chart: Chart, output: Path | None) -> None:
    """Prints what is read off the curves, and writes the SVG to `output` if it is given."""
    print("\n".join([chart.title, *chart.notes]))
    save(curves(chart), output)


def save(figure: str, output: Path | None) -> None:
    """Writes the <svg> as a file of its own."""
    if output is not None:
        output.write_text(standalone_svg(figure), encoding="utf-8")
