"""Leaves a note to a run's authors, as `toprope tell` does."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from toprope.run import notes
from toprope.serve.book import Book
from toprope.serve.site import Site, home


def send(site: Site, request: Request, book: Book) -> Response:
    """Answers the form, and leads back to the run's page."""
    form = request.scope["toprope.form"]
    notes.send(book.path, book.history, form.get("text", ""), form.get("to", ""))
    return RedirectResponse(home(book.path.name) + "?told=note", 303)
