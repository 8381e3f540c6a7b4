"""What a report shows of a run that authors climbed: who did what, how ideas spread, what the champion changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from toprope import figures
from toprope.figures import Chart, Line
from toprope.run import ideas
from toprope.run.story import Story
from toprope.types import Candidate

FINDINGS, LINES = 60, 400  # told in full; of a diff


def team(s: Story) -> dict[str, Any] | None:
    """None for a climb without authors."""
    made = [(int(b.experiments[0]), b.author) for b in s.blocks if b.author is not None]
    if not made:
        return None
    candidates = [author.candidate for _, author in made]
    numbers = ideas.families(candidates)
    return {
        "rows": list(_rows(s, made, numbers)),
        "families": len(set(numbers)),
        "entropy": ideas.entropy(numbers)[-1],
        "window": ideas.WINDOW,
        "figure": _figure(numbers, candidates),
        "findings": s.findings[:FINDINGS],
        "more": max(0, len(s.findings) - FINDINGS),
        "tokens": sum(x.tokens for x in s.spent),
        "dollars": sum(x.dollars for x in s.spent),
    }


def _rows(s: Story, made: list[tuple[int, Any]], numbers: list[int]) -> Iterator[dict[str, Any]]:
    """One an author, by name."""
    values = _values(s)
    promoted = {a.candidate for a in s.answers if a.promoted}
    named = {author.name for _, author in made} | {f.author for f in s.findings} | {x.author for x in s.spent}
    named |= {a.author for a in s.asked}
    for name in sorted(named - {""}):
        own = [(e, a, f) for (e, a), f in zip(made, numbers, strict=True) if a.name == name]
        ids = {a.candidate.id for _, a, _ in own}
        best = max(((values[e], a) for e, a, _ in own if e in values), key=lambda x: x[0], default=None)
        yield {
            "name": name,
            "experiments": len(own),
            "families": len({f for _, _, f in own}),
            "best": None if best is None else best[0],
            "complexity": None if best is None else ideas.complexity(best[1].candidate),
            "attempts": sum(x.author == name for x in s.asked),
            "promotions": len(ids & promoted),
            "findings": sum(f.author == name for f in s.findings),
            "tokens": sum(x.tokens for x in s.spent if x.author == name),
            "dollars": sum(x.dollars for x in s.spent if x.author == name),
        }


def _values(s: Story) -> dict[int, float]:
    """Experiment -> dev value, of those that ended ok."""
    o = s.opening
    gap = float((o.ceilings - o.floors).sum())
    return {
        int(b.experiments[0]): float((b.scores[0] - o.floors).sum()) / gap
        for b in s.blocks
        if b.author is not None and not b.outcomes
    }


def _figure(numbers: list[int], candidates: list[Candidate]) -> str:
    """Entropy of idea families over experiments, and complexity beside it, each as a share of its largest."""
    x = list(range(1, len(numbers) + 1))
    spread = ideas.entropy(numbers)
    nodes = [ideas.complexity(c) for c in candidates]
    top, most = max([*spread, 1.0]), max([*nodes, 1])
    lines = [
        Line(f"diversity (1 = {top:.1f} bits)", x, [v / top for v in spread]),
        Line(f"complexity (1 = {most} nodes)", x, [n / most for n in nodes]),
    ]
    return figures.curves(Chart("diversity of ideas and complexity of code", "experiments of authors", "share", lines))


def difference(s: Story) -> str:
    """Unified diff of the champion's files against the starter's, cut after LINES lines; empty if they are the same."""
    old, new = s.opening.tree.files, s.champion.tree.files
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (f.get(name, b"").decode("utf-8", "replace").splitlines() for f in (old, new))
        lines += difflib.unified_diff(before, after, f"starter/{name}", f"champion/{name}", lineterm="")
    return "\n".join([*lines[:LINES], *([f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else [])])
