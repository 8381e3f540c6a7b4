"""A climb up to a barrier: how a run looked then, on the axes of all of it. Links and a slider move through it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from toprope.journal.records import Generation
from toprope.serve.book import Book
from toprope.serve.pages.about import STILL, about, pair
from toprope.serve.site import Site
from toprope.view import report

STEPS = 20  # of the links forward and back


def page(site: Site, request: Request, book: Book) -> Response:
    """?until=G is the number of a barrier; without it, the first."""
    s = book.history
    if not s.generations:
        return site.page("error.html", title="Nothing to replay yet", why="This run has not reached its first barrier.")
    card = site.card(s.opening.spec.task, s.opening.spec.run)
    last = len(s.generations) - 1
    word = request.query_params.get("until", "0")
    at = min(last, int(word)) if word.isascii() and word.isdigit() and len(word) < 12 else 0
    until: Generation = s.generations[at]
    asked = {a.candidate.id: a.experiment for a in s.asked}
    answers = [a for a in report.answers(s) if asked[a["candidate"]] < until.experiments]
    step = max(1, last // STEPS)
    return site.page(
        "replay.html",
        **(about(book) | STILL),
        until=until,
        at=at,
        last=last,
        before=max(0, at - step),
        after=min(last, at + step),
        figures=pair(s, card, "experiments", until=until),
        answers=answers[::-1],
        number_of=asked,
    )
