"""The runs of the folder: the list, two side by side, and the leaderboard of a task."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from toprope import figures
from toprope.journal import drawing
from toprope.journal.history import RunHistory
from toprope.run.upkeep import state
from toprope.serve import answers
from toprope.serve.book import Book
from toprope.serve.pages.about import links, page_number
from toprope.serve.shelf import Row
from toprope.serve.site import Site
from toprope.stats.intervals import Estimate

PAGE = 100  # rows at once
SORTS = {
    "when": lambda r: -r.started,
    "run": lambda r: r.name,
    "task": lambda r: (r.task, -r.started),
    "state": lambda r: (r.state, -r.started),
    "dev": lambda r: _down(r.dev),
    "measured": lambda r: _down(r.measured),
    "sealed": lambda r: _down(r.sealed),
    "experiments": lambda r: -r.experiments,
}


def _down(x: float | Estimate | None) -> float:
    """Sorts the largest value first, and those without one last."""
    return float("inf") if x is None else -(x.value if isinstance(x, Estimate) else x)


def runs(site: Site, request: Request) -> Response:
    """The list; ?sort, ?task, ?state, ?q and ?page choose."""
    q = request.query_params
    every = site.shelf.rows()
    sort = q.get("sort", "when") if q.get("sort") in SORTS else "when"
    words = q.get("q", "")[:100].lower()
    found = [
        r
        for r in every
        if (not q.get("task") or r.task == q["task"])
        and (not q.get("state") or r.state == q["state"])
        and (not words or words in f"{r.name} {r.task} {r.climber}".lower())
    ]
    found.sort(key=SORTS[sort])
    first = PAGE * (page_number(request) - 1)
    return site.page(
        "runs.html",
        rows=found[first : first + PAGE],
        matching=len(found),
        total=len(every),
        page=page_number(request),
        pages=max(1, -(-len(found) // PAGE)),
        tasks=sorted({r.task for r in every if r.task}),
        states=sorted({r.state for r in every}),
        q=q,
        sort=sort,
        sorts=list(SORTS),
        link=links(request),
        events="/events",
    )


# ---------------------------------------------------------------- two runs


class Side(NamedTuple):
    """One of two runs that are compared."""

    name: str
    state: str
    s: RunHistory
    answers: list[answers.Answer]


def compare(site: Site, request: Request) -> Response:
    """Two runs side by side: ?a and ?b are their names."""
    names = [request.query_params.get(k, "") for k in ("a", "b")]
    both = request.query_params.getlist("run")[:2]  # the boxes of the list
    if len(both) == 2:
        names = both
    if not all(names):
        return site.page("error.html", 400, title="Two runs are needed", why="Choose two runs in the list.")
    books = {name: site.shelf.book(name) for name in sorted(set(names))}
    with contextlib.ExitStack() as still:
        for book in books.values():  # in one order everywhere
            still.enter_context(book.lock)
        return _compared(site, [_side(name, books[name]) for name in names])


def _side(name: str, book: Book) -> Side:
    s = book.history
    four = [answers.real(s), answers.cost(s), answers.tried(s), answers.failed(s, answers.reasons(s))]
    return Side(name, state(book.path, s), s, four)


def _compared(site: Site, sides: list[Side]) -> Response:
    same = sides[0].s.opening.spec.task == sides[1].s.opening.spec.task
    return site.page(
        "compare.html", sides=sides, same=same, figure=Markup(_both(sides)) if same else "", params=_params(sides)
    )


def _both(sides: list[Side]) -> str:
    lines = []
    for side, letter in zip(sides, "ab", strict=True):
        some = [g for g in drawing.shown(side.s.generations) if g.best is not None]
        if some:
            lines.append(figures.Line(f"{letter}: dev", *_steps([(g.experiments, g.best or 0.0) for g in some])))
        found = drawing.promotions(side.s.course)
        if found:
            ends = [*[p.at for p in found[1:]], side.s.experiments]
            xs = [x for p, end in zip(found, ends, strict=True) for x in (p.at, end)]
            twice = [p for p in found for _ in range(2)]
            low, high = [p.lo for p in twice], [p.hi for p in twice]
            lines.append(figures.Line(f"{letter}: measured", xs, [p.value for p in twice], low, high))
    if not lines:
        return ""
    return figures.curves(figures.Chart("two climbs", "experiments", "value", lines))


def _steps(points: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    xs: list[float] = []
    ys: list[float] = []
    for i, (x, y) in enumerate(points):
        if i:
            xs.append(x)
            ys.append(ys[-1])
        xs.append(x)
        ys.append(y)
    return xs, ys


def _params(sides: list[Side]) -> list[tuple[str, list[Any]]]:
    both = [side.s.champion.params for side in sides]
    names = sorted(set(both[0]) | set(both[1]))
    rows = [(name, [p.get(name, "") for p in both]) for name in names]
    return [row for row in rows if row[1][0] != row[1][1]]


# ---------------------------------------------------------------- the runs of a task


class Place(NamedTuple):
    """A row of the leaderboard. first, last: the ranks that its interval allows."""

    row: Row
    value: Estimate
    sealed: bool
    first: int
    last: int


def leaderboard(site: Site, request: Request) -> Response:
    """The runs of ?task by what was measured of their champions."""
    rows = site.shelf.rows()
    tasks = sorted({r.task for r in rows if r.task})
    task = request.query_params.get("task") or (tasks[0] if tasks else "")
    places = ranked([r for r in rows if r.task == task])
    bars = [
        figures.Bar(p.row.name, p.value.value, p.value.lo, p.value.hi, "sealed" if p.sealed else "champion")
        for p in places[:40]
    ]
    card = site.card(task) if task else None
    return site.page(
        "leaderboard.html",
        task=task,
        tasks=tasks,
        places=places,
        figure=Markup(figures.intervals(bars, card.metric if card else "value")) if bars else "",
        events="/events",
    )


def ranked(rows: list[Row]) -> list[Place]:
    """By the sealed value, or the measured one without it. A rank's interval: one better than all runs whose whole
    interval lies above, one worse than all that lie below."""
    found = [(r, r.sealed or r.measured) for r in rows]
    known = sorted(((r, e) for r, e in found if e is not None), key=lambda x: -x[1].value)
    return [
        Place(
            r,
            e,
            r.sealed is not None,
            1 + sum(other.lo > e.hi for _, other in known),
            len(known) - sum(other.hi < e.lo for _, other in known),
        )
        for r, e in known
    ]
