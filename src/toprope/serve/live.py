"""Server-sent events: one line whenever a run, or the list of runs, has changed. The browser then loads the page again
and takes over the parts that differ, so there is one way in which a page is made."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from toprope.errors import TopropeError
from toprope.run.upkeep import state
from toprope.serve.shelf import Reading, Starting, Unknown
from toprope.serve.site import Site

LOOK_S = 1.0  # between two looks at the ledger
ALIVE_S = 15.0  # without a change until a comment shows that the stream lives
LONGEST_S = 1800.0  # of a stream; the browser opens another one


def endpoint(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def events(request: Request) -> Response:
        name = request.path_params.get("name")
        if name is not None and name not in site.shelf.names():
            return Response(status_code=404)
        return StreamingResponse(_stream(site, name), media_type="text/event-stream")

    return events


async def _stream(site: Site, name: str | None) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    began = spoke = time.monotonic()
    before = None
    while time.monotonic() - began < LONGEST_S:
        now = await anyio.to_thread.run_sync(_version, site, name)
        if before is not None and now != before:
            spoke = time.monotonic()
            yield f"event: changed\ndata: {now}\n\n"
        elif time.monotonic() - spoke > ALIVE_S:
            spoke = time.monotonic()
            yield ": still here\n\n"
        before = now
        await asyncio.sleep(LOOK_S)


def _version(site: Site, name: str | None) -> str:
    """A word that changes with what the page shows."""
    if name is None:
        return hashlib.sha256(repr(site.shelf.rows()).encode("utf-8", "replace")).hexdigest()[:16]
    try:
        book = site.shelf.book(name, wait_s=LOOK_S)
        _, done = book.columns.peek()
        return f"{book.version[:16]}-{state(book.path, book.history)}-{done:.2f}"
    except Reading:
        return "reading"
    except Starting:
        return "starting"
    except (TopropeError, Unknown):
        return "unreadable"
