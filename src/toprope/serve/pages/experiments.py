"""The experiments of a run: filtered, sorted and paged without reading the ledger again."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from toprope.serve.book import Book
from toprope.serve.columns import NAMES, Query, Table, chosen
from toprope.serve.pages.about import about, links, page_number
from toprope.serve.site import Site

PAGE = 50
WAIT_S = 0.08  # for a small ledger to be taken up before the page is made
SORTS = ("new", "old", "best")


class Line(NamedTuple):
    """One experiment in the list. whole: it saw all dev draws."""

    number: int
    value: float | None
    draws: int
    outcome: str
    author: str
    whole: bool


def page(site: Site, request: Request, book: Book) -> Response:
    """?outcome, ?min, ?author, ?whole=1, ?sort and ?page choose."""
    table, done = book.columns.wanted(WAIT_S)
    q, draws = request.query_params, len(book.history.opening.floors)
    sort = q.get("sort", "new") if q.get("sort") in SORTS else "new"
    outcome = q.get("outcome", "") if q.get("outcome") in NAMES else ""
    query = Query(outcome, _number(q.get("min", "")), q.get("author", "")[:64], sort, draws if q.get("whole") else 0)
    at = page_number(request)
    numbers, matching = chosen(table, book.columns.authors, query, PAGE * (at - 1), PAGE)
    return site.page(
        "experiments.html",
        **about(book),
        lines=_lines(table, book.columns.authors, numbers, draws),
        matching=matching,
        total=table.n,
        done=done,
        page=at,
        pages=max(1, -(-matching // PAGE)),
        names=NAMES,
        authors=[a for a in book.columns.authors if a],
        query=query,
        draws=draws,
        sorts={"new": "newest first", "old": "oldest first", "best": "best dev value first"},
        sent={a.experiment: a for a in book.history.asked},
        promoted={a.candidate for a in book.history.answers if a.promoted},
        link=links(request),
    )


def _number(word: str) -> float | None:
    try:
        found = float(word[:20])
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _lines(table: Table, authors: list[str], numbers: np.ndarray[Any, Any], draws: int) -> list[Line]:
    return [
        Line(
            n,
            None if np.isnan(table.value[n]) else float(table.value[n]),
            int(table.draws[n]),
            NAMES[table.outcome[n]],
            authors[min(int(table.author[n]), len(authors) - 1)],
            int(table.draws[n]) >= draws,
        )
        for n in numbers.tolist()
    ]
