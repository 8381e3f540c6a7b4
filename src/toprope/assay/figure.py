"""Draws what a task family reproduces of the literature, from the family's own measurement.

    python -m toprope.assay.figure TASK [-o FILE.svg] [--draws N]

A family that has such a figure holds a module `figure` with `chart(task, draws, progress) -> Chart`.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module, util
from pathlib import Path

from toprope.errors import TopropeError, UsageError
from toprope.figures import Chart, alone, curves
from toprope.tasks import registry


def measure(task_id: str, draws: int) -> Chart:
    """Raises UsageError if the family has no figure."""
    task = registry.load(registry.find(task_id))
    name = type(task).__module__.rpartition(".")[0] + ".figure"
    if util.find_spec(name) is None:
        raise UsageError(f"task {task_id} has no figure; its family would hold it as chart() in figure.py")
    module = import_module(name)
    if not hasattr(module, "chart"):
        raise UsageError(f"task {task_id} draws its figure itself: `python -m {name} -o FILE.svg`")
    chart: Chart = module.chart(task, draws, lambda what, _: print(what, file=sys.stderr))
    return chart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("-o", "--output", type=Path, help="SVG file; without it only the figures read off are printed")
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    chart = measure(args.task, args.draws)
    if args.output is not None:
        args.output.write_text(alone(curves(chart)), encoding="utf-8")
    print("\n".join([chart.title, *chart.notes]))


if __name__ == "__main__":
    try:
        main()
    except TopropeError as e:
        sys.exit(f"figure: {e}")
