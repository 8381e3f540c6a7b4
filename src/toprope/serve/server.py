"""Listens on loopback, says where, and serves until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toprope.errors import UsageError

PORT = 8642  # tried first when no port is named; then any free one
AT_ONCE = 64  # connections
HEAD_S = 10.0  # from the first byte of a request, or from a new connection, to the end of its head
HEAD = 16384  # bytes of a request's head


def needed() -> None:
    """Raises UsageError if the extra is missing."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as e:
        raise UsageError(f"the dashboard needs the extra [serve] ({e}); `pip install 'toprope[serve]'`") from e


def listening(port: int | None) -> socket.socket:
    """A listening socket on 127.0.0.1. port: None for PORT, or any free one if that is taken. Raises UsageError for a
    port that cannot be had."""
    try:
        return socket.create_server(("127.0.0.1", PORT if port is None else port), backlog=AT_ONCE)
    except OSError as e:
        if port is None and e.errno == errno.EADDRINUSE:
            return socket.create_server(("127.0.0.1", 0), backlog=AT_ONCE)
        raise UsageError(f"--port {port}: {e.strerror}; name a free port of 127.0.0.1, or leave --port out") from e


def serve(runs: Path, port: int | None, say: Callable[[str], None]) -> None:
    """Serves the runs of a folder until SIGINT or SIGTERM. say: prints a line. Raises UsageError for a folder or port
    that cannot be had."""
    from toprope.serve.app import make
    from toprope.serve.shelf import Shelf

    with contextlib.closing(Shelf(runs)) as shelf, listening(port) as on:
        at = on.getsockname()[1]
        guard = make(shelf)
        say(f"http://127.0.0.1:{at}/?token={guard.token}")
        say(f"from another machine: ssh -N -L {at}:127.0.0.1:{at} USER@THIS_HOST, then open the same address there")
        say(f"it shows the runs in {runs}; Ctrl-C ends it")
        uvicorn_for(guard).run(sockets=[on])


@contextlib.contextmanager
def in_thread(runs: Path) -> Iterator[tuple[str, str]]:
    """Serves in a thread, for a program of one's own: the address without a path, and the token."""
    from toprope.serve.app import make
    from toprope.serve.shelf import Shelf

    with contextlib.closing(Shelf(runs)) as shelf, listening(0) as on:
        guard = make(shelf)
        server = uvicorn_for(guard)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [on]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{on.getsockname()[1]}", guard.token
        finally:
            server.should_exit = True
            thread.join(10)


def uvicorn_for(app: Any) -> Any:
    """A `uvicorn.Server` for the application, with our limits."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_impatient(),
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=AT_ONCE,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=HEAD,
        )
    )


def _impatient() -> type[asyncio.Protocol]:
    """uvicorn's protocol, which waits for the head of a request for as long as a client likes; this one does not."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head = self.loop.call_later(HEAD_S, self._late)

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # a head is complete
                self._patience(None)
            elif self._head is None and (before is None or before.response_complete):
                self._patience(HEAD_S)  # a part of the next one

        def connection_lost(self, exc: Exception | None) -> None:
            self._patience(None)
            super().connection_lost(exc)

        def _patience(self, seconds: float | None) -> None:
            if self._head is not None:
                self._head.cancel()
            self._head = self.loop.call_later(seconds, self._late) if seconds is not None else None

        def _late(self) -> None:
            self.transport.abort()

    return Impatient
