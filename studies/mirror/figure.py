"""Draws docs/tasks/mirror.svg: what a program looks like that knows part of its practice cases by heart.

An honest but unfinished program (the sketch of rpn with three questions answered wrongly) is given the answers of a
growing share of the shown cases. Its practice score rises, its duals and hidden draws stay where they were: the gap
that MirrorCode (arXiv:2606.30182) made duals for. Prints the same as a table. It runs our own sketch here, without a
sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from studies.drawing import save
from toprope import seeding
from toprope.figures import Chart, Line, curves
from toprope.seeding import derive
from toprope.tasks.trusted import load
from toprope.types import Draw
from toprope_tasks.mirror import instance, packing
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase
from toprope_tasks.mirror.rpn.task import Rpn
from toprope_tasks.mirror.suite import WIDTH
from toprope_tasks.mirror.task import Mirror

WRONG = {"pop": "takes", "codes": "one", "dump": "lines"}  # of the public demo dialect
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
HIDDEN = 200
Main = Callable[[list[bytes], bytes, dict[bytes, bytes]], tuple[bytes, bytes, int]]


class CurvePoint(NamedTuple):
    """shown, duals, hidden: shares answered to the byte. evidence: what the tallies say."""

    share: float
    shown: float
    duals: float
    hidden: float
    evidence: str


def sketch(task: Mirror, params: Mapping[str, Any]) -> Main:
    """The starter's main with these answers to its questions."""
    main = load(task.starter()).main
    return lambda argv, stdin, files: main(argv, stdin, files, params=dict(params))


def answers(main: Main, draw: Draw, known: Mapping[ProgramCase, ProgramAnswer]) -> packing.Bytes:
    """(1, cases, width) what it says, from the table where it can."""
    said = [known.get(c) or ProgramAnswer(*main(list(c.argv), c.stdin, dict(c.files))) for c in draw.private.cases]
    return np.stack([packing.row(a, WIDTH) for a in said])[None]


def points(task: Mirror) -> Iterator[CurvePoint]:
    """One for each share of shown cases known by heart."""
    assert task.space is not None
    main = sketch(task, {d.name: getattr(task.dialect, d.name) for d in task.space.dims} | WRONG)
    secret, name = seeding.dev_secret(0), task.spec.id
    dev = [task.generate("dev", i, derive(secret, name, "dev", 0, i)) for i in range(task.spec.splits.rungs[-1])]
    hidden = [task.generate("test", i, i) for i in range(HIDDEN)]
    shown = [(c, g) for d in dev for c, g, s in zip(d.private.cases, d.private.gold, d.private.shown, strict=True) if s]
    order = np.random.default_rng(1).permutation(len(shown))
    for share in SHARES:
        known = dict(shown[i] for i in order[: round(share * len(shown))])
        said = [{"answers": answers(main, d, known)} for d in dev]
        right = [packing.exact(s["answers"], d.private.rows)[0] for s, d in zip(said, dev, strict=True)]
        exact = [np.mean([r[m(d)].mean() for r, d in zip(right, dev, strict=True)]) for m in (_shown, _duals)]
        tally = np.sum([task.tally(s, d)[0] for s, d in zip(said, dev, strict=True)], axis=0)
        found = ", ".join(f"{i.kind} {i.severity}" for i in task.accuse(tally, len(dev)))
        fresh = np.mean([packing.exact(answers(main, d, known), d.private.rows).mean() for d in hidden])
        yield CurvePoint(share, float(exact[0]), float(exact[1]), float(fresh), found or "none")


def _shown(draw: Draw) -> Any:
    return draw.private.shown


def _duals(draw: Draw) -> Any:
    return ~draw.private.shown


# ---------------------------------------------------------------- the figure


def chart(found: list[CurvePoint]) -> Chart:
    """Three lines over the share known by heart, and one on top of the first where the tallies are proof."""
    lines = [_line(name, name, found) for name in ("shown", "duals", "hidden")]
    proved = [p for p in found if "certain" in p.evidence]
    lines += [_line("shown, and proved", "shown", proved)] if proved else []
    title = "Answers to the byte of a program that knows shown cases by heart"
    return Chart(title, "share of shown cases known by heart", "cases answered to the byte", lines, reach=(0, 1))


def _line(label: str, field: str, found: list[CurvePoint]) -> Line:
    return Line(label, [p.share for p in found], [getattr(p, field) for p in found])


def main(*, output: Path | None = None) -> None:
    found = list(points(Rpn("mirror/rpn-v1", instance.Instance("public demo dialect", instance.DEMO))))
    print("| by heart | shown | duals | hidden | evidence |\n|---|---|---|---|---|")
    for p in found:
        print(f"| {p.share:.0%} | {p.shown:.3f} | {p.duals:.3f} | {p.hidden:.3f} | {p.evidence} |")
    save(curves(chart(found)), output)
