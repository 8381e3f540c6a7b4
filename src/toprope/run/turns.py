"""Turns at something that serves one author at a time (scorers, gate). Waiting authors are served in rotation.

In a plain queue, one author with many slow requests would make everybody else wait for all of them. Here an author that
has just been served moves behind all others that wait.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator


class Turns:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: dict[str, deque[object]] = {}  # author -> its tickets; the first author is served next

    @contextlib.contextmanager
    def turn(self, author: str) -> Iterator[None]:
        """Waits for the author's turn, and holds it until the `with` block ends."""
        self._wait(author)
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def waiting(self) -> int:
        """Number of requests that wait."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def _wait(self, author: str) -> None:
        ticket = object()
        with self._changed:
            self._waiting.setdefault(author, deque()).append(ticket)
            try:
                while self._busy or self._next() is not ticket:
                    self._changed.wait()
                self._busy = True
            finally:  # served or interrupted: the ticket leaves the queue
                self._leave(author, ticket)

    def _next(self) -> object:
        return next(iter(self._waiting.values()))[0]

    def _leave(self, author: str, ticket: object) -> None:
        tickets = self._waiting.pop(author)
        tickets.remove(ticket)
        if tickets:
            self._waiting[author] = tickets  # behind everybody else
        self._changed.notify_all()
