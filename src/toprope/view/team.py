"""The part of a report about authors: what each did, the diversity of ideas, and what the champion changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from toprope import figures
from toprope.figures import Chart, Line
from toprope.journal.export import researchers
from toprope.journal.history import RunHistory
from toprope.run import ideas
from toprope.types import Tree

FINDINGS, LINES = 60, 400  # findings shown; lines of a diff shown
COMPARED, WIDTH = 1000, 400  # lines of each side that are compared in all; characters per line


def team(s: RunHistory) -> dict[str, Any] | None:
    """The values for the template; None for a climb without authors."""
    made = [(int(b.experiments[0]), b.author) for b in s.authored if b.author is not None]
    if not made and not researchers(s):
        return None
    found: dict[str, ideas.Idea] = {}
    for _, author in made:
        if author.candidate.id not in found:
            found[author.candidate.id] = ideas.idea(author.candidate)
    read = [found[author.candidate.id] for _, author in made]
    numbers = ideas.families(read)
    return {
        "rows": list(_rows(s, made, numbers, found)),
        "families": len(set(numbers)),
        "entropy": ideas.entropy(numbers)[-1] if numbers else 0.0,
        "window": ideas.WINDOW,
        "figure": _figure(numbers, read) if numbers else "",
        "findings": s.findings[:FINDINGS],
        "more": max(0, len(s.findings) - FINDINGS),
        "tokens": sum(x.tokens for x in s.spent),
        "dollars": sum(x.dollars for x in s.spent),
        "counted": bool(s.opening.spec.plan is not None and s.opening.spec.plan.model),
    }


def _rows(
    s: RunHistory, made: list[tuple[int, Any]], numbers: list[int], found: dict[str, ideas.Idea]
) -> Iterator[dict[str, Any]]:
    """One row per author, by name."""
    values = _values(s)
    promoted = {a.candidate for a in s.answers if a.promoted}
    for known in researchers(s):
        name = known["name"]
        own = [(e, a, f) for (e, a), f in zip(made, numbers, strict=True) if a.name == name]
        ids = {a.candidate.id for _, a, _ in own}
        best = max(((values[e], a) for e, a, _ in own if e in values), key=lambda x: x[0], default=None)
        yield {
            "name": name,
            "experiments": len(own),
            "families": len({f for _, _, f in own}),
            "best": None if best is None else best[0],
            "complexity": None if best is None else found[best[1].candidate.id].complexity,
            "attempts": sum(x.author == name for x in s.asked),
            "promotions": len(ids & promoted),
            "findings": sum(f.author == name for f in s.findings),
            "tokens": known["tokens"],
            "dollars": known["dollars"],
            "ended": known["ended"],
        }


def _values(s: RunHistory) -> dict[int, float]:
    """Experiment -> dev value, for experiments that ended ok."""
    o = s.opening
    gap = float((o.ceilings - o.floors).sum())
    return {int(b.experiments[0]): float((b.scores[0] - o.floors).sum()) / gap for b in s.authored if not b.outcomes}


def _figure(numbers: list[int], read: list[ideas.Idea]) -> str:
    """Entropy of idea families, and complexity, over experiments, each as a share of its maximum."""
    x = list(range(1, len(numbers) + 1))
    spread = ideas.entropy(numbers)
    tokens = [i.complexity for i in read]
    top, most = max([*spread, 1.0]), max([*tokens, 1])
    lines = [
        Line(f"diversity (1 = {top:.1f} bits)", x, [v / top for v in spread]),
        Line(f"complexity (1 = {most} tokens)", x, [n / most for n in tokens]),
    ]
    return figures.curves(Chart("diversity of ideas and complexity of code", "experiments of authors", "share", lines))


def difference(s: RunHistory) -> str:
    """Unified diff of the champion's files against the starter's; empty if they are the same."""
    return compared(s.opening.tree, s.champion.tree, "starter", "champion")


def compared(one: Tree, other: Tree, *names: str) -> str:
    """Unified diff of two candidates' files, cut after LINES lines; empty if they are the same. names: of the two.

    At most COMPARED lines are compared, because hostile text can make the time grow with the square of its lines."""
    old, new = one.files, other.files
    left_name, right_name = names
    lines: list[str] = []
    left = COMPARED
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if left <= 0:
            lines.append(f"... {left_name}/{name} and what follows are not compared")
            break
        before, after = (_lines(f.get(name, b""), left) for f in (old, new))
        left -= max(len(before), len(after))
        lines += difflib.unified_diff(before, after, f"{left_name}/{name}", f"{right_name}/{name}", lineterm="")
    return "\n".join([*lines[:LINES], *([f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else [])])


def _lines(data: bytes, most: int) -> list[str]:
    lines = data.decode("utf-8", "replace").splitlines()
    told = [line if len(line) <= WIDTH else f"{line[:WIDTH]} ..." for line in lines[:most]]
    return [*told, *([f"... {len(lines) - most} more lines, not compared"] if len(lines) > most else [])]
