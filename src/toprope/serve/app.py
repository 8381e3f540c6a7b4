"""The pages and their addresses. One request: `guard.py` lets it in, a function of `pages/` reads what it needs from
the shelf (`shelf.py`, `book.py`), and a template of `templates/` shows it.

    /                             the runs of the folder       /runs/NAME                    one run
    /compare?a=NAME&b=NAME        two runs                     /runs/NAME/experiments        its experiments
    /leaderboard?task=ID          the runs of one task         /runs/NAME/experiments/N      one candidate
    /tasks, /tasks/ID             what can be climbed          /runs/NAME/importance         its parameters
    /static/NAME                  style and script             /runs/NAME/replay?until=G     the climb up to a barrier
    /events, /runs/NAME/events    what changes                 /runs/NAME/transcripts        its authors' conversations
                                                               /runs/NAME/stop (POST)        ends the climb's process
                                                               /runs/NAME/note (POST)        leaves its authors a note
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from toprope.errors import TopropeError
from toprope.serve import live
from toprope.serve.book import Book
from toprope.serve.guard import Guard
from toprope.serve.pages import candidate, experiments, importance, listing, note, replay, run, stop, tasks, transcripts
from toprope.serve.shelf import Reading, Shelf, Starting, Unknown
from toprope.serve.site import STATIC, Site, home

Page = Callable[[Site, Request], Response]
RunPage = Callable[[Site, Request, Book], Response]


def make(shelf: Shelf, token: str | None = None) -> Guard:
    """The application behind its guard. token: None for a random one."""
    site = Site(shelf)
    pages: dict[str, Page] = {
        "/": listing.runs,
        "/compare": listing.compare,
        "/leaderboard": listing.leaderboard,
        "/tasks": tasks.every,
        "/tasks/{task:path}": tasks.one,
    }
    of_run: dict[str, RunPage] = {
        "": run.page,
        "/report": run.report,
        "/replay": replay.page,
        "/experiments": experiments.page,
        "/experiments/{number:int}": candidate.page,
        "/experiments/{number:int}/files/{file:int}": candidate.file,
        "/importance": importance.page,
        "/transcripts": transcripts.page,
    }
    pages |= {"/runs/{name}" + tail: _opened(page) for tail, page in of_run.items()}
    routes = [Route(path, _endpoint(site, page), methods=["GET"]) for path, page in pages.items()]
    routes += [
        Route("/runs/{name}/stop", _endpoint(site, _opened(stop.stop)), methods=["POST"]),
        Route("/runs/{name}/note", _endpoint(site, _opened(note.send)), methods=["POST"]),
        Route("/static/{name}", _static, methods=["GET"]),
        Route("/events", live.endpoint(site)),
        Route("/runs/{name}/events", live.endpoint(site)),
    ]
    guard = Guard(Starlette(routes=routes, exception_handlers={404: _lost(site), 500: _failed(site)}), token)
    site.form = guard.form
    return guard


def _opened(page: RunPage) -> Page:
    """The page of the run that the address names. Its book does not grow while the page is made."""

    def opened(site: Site, request: Request) -> Response:
        book = site.shelf.book(request.path_params["name"])
        with book.lock:
            return page(site, request, book)

    return opened


def _endpoint(site: Site, page: Page) -> Callable[[Request], Response]:
    """Runs in a thread. What cannot be shown is said on a page of its own."""

    def endpoint(request: Request) -> Response:
        try:
            return page(site, request)
        except Reading as r:
            return site.page("reading.html", r=r, events=home(r.name) + "/events")
        except Starting as e:
            return site.page("starting.html", name=str(e), events=home(str(e)) + "/events")
        except Unknown:
            return _nothing(site)
        except TopropeError as e:
            title = "This cannot be done" if request.method == "POST" else "This cannot be shown"
            return site.page("error.html", 422, title=title, why=str(e))

    return endpoint


def _nothing(site: Site) -> Response:
    return site.page("error.html", 404, title="Nothing is here", why="No run, task or experiment has this address.")


def _lost(site: Site) -> Callable[[Request, Exception], Response]:
    return lambda request, e: _nothing(site)


def _failed(site: Site) -> Callable[[Request, Exception], Response]:
    """A fault of ours, or of a record that no check foresaw: said without its details, which may be hostile text."""
    why = "`toprope verify RUN` says whether the run is sound; if it is, this is a bug of ours."
    return lambda request, e: site.page("error.html", 500, title="This page failed", why=f"{type(e).__name__}. {why}")


def _static(request: Request) -> Response:
    found = STATIC.get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("nothing is here", 404)
    return Response(found[1], media_type=found[0])
