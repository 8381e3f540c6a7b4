"""Which parameters matter: a bar for each, beside what chance gives."""

from __future__ import annotations

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from toprope import figures
from toprope.serve import importance as measure
from toprope.serve.book import Book
from toprope.serve.pages.about import about
from toprope.serve.site import Site

BARS = 30  # parameters in the figure; the table has all


def page(site: Site, request: Request, book: Book) -> Response:
    """The figure and the table; for a run of authors, whose candidates lie in no space, why there is neither."""
    found = book.once("importance", measure.importance)
    bars = [figures.Bar(x.name, x.share, 0.0, x.chance, _kind(x)) for x in found.shares[:BARS]]
    return site.page(
        "importance.html",
        **about(book),
        found=found,
        figure=Markup(figures.shares(bars, "share of the variance of dev values")) if bars else "",
        shuffles=measure.SHUFFLES,
        least=measure.LEAST,
    )


def _kind(x: measure.Share) -> str:
    return "champion" if x.share > x.chance else "default"
