"""What the pages of a run share: the values for their head, addresses with a changed query, the figure twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request

from toprope.journal import drawing
from toprope.journal.history import RunHistory
from toprope.run.upkeep import state
from toprope.serve.book import Book
from toprope.serve.site import Card, home

WIDE, NARROW = {"width": 1120, "height": 430}, {"width": 400, "height": 330}  # the figure on a screen and on a phone

STILL = {"events": ""}  # of pages that do not follow the run


def about(book: Book) -> dict[str, Any]:
    """What every page of a run shows in its head."""
    s, name = book.history, book.path.name
    now = state(book.path, s)
    return {
        "name": name,
        "s": s,
        "o": s.opening,
        "state": now,
        "live": now == "climbing",
        "title": name,
        "home": home(name),
        "events": home(name) + "/events",
        "has_authors": (book.path / "researchers").is_dir(),
        "has_space": len(s.opening.space.dims) > 1,
    }


def pair(s: RunHistory, card: Card, unit: str, **more: Any) -> list[Markup]:
    """The figure twice, for a wide screen and for a narrow one."""
    axis, practice, hidden = "value", "", ""
    if card.spec is not None:
        axis, practice, hidden = card.spec.metric.name, card.spec.practice, card.spec.hidden
    drawn = (drawing.climb(s.course, axis, practice, hidden, unit, **(more | size)) for size in (WIDE, NARROW))
    return [Markup(one) for one in drawn]


def page_number(request: Request) -> int:
    """?page, from 1."""
    word = request.query_params.get("page", "1")
    return max(1, min(10**7, int(word))) if word.isascii() and word.isdigit() and len(word) < 9 else 1


def links(request: Request) -> Callable[..., str]:
    """A function for templates: this address with some of its query changed."""

    def link(**changes: object) -> str:
        kept = {k: v for k, v in request.query_params.items() if k not in ("token", "told") and k not in changes}
        given = {k: str(v) for k, v in changes.items() if v not in (None, "")}
        query = urlencode({**kept, **given})
        return f"{request.url.path}?{query}" if query else request.url.path

    return link
