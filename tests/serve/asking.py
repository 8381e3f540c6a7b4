"""A client that speaks ASGI to the dashboard, and folders of runs for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import histories
import msgspec

from toprope import seeding
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Committed, SessionRecord
from toprope.serve.guard import Guard


class Reply(NamedTuple):
    """status, headers by lower-case name, and the whole body as text."""

    status: int
    headers: dict[str, str]
    text: str


class Client:
    """One browser: it keeps the cookie. Every request has the headers of one from our own page, unless told else."""

    def __init__(self, guard: Guard, host: str = "127.0.0.1:8642") -> None:
        self.guard, self.host, self.cookie = guard, host, ""

    def enter(self) -> Client:
        """With the token, as from the terminal."""
        reply = self.get(f"/?token={self.guard.token}")
        assert reply.status == 303, reply
        self.cookie = reply.headers["set-cookie"].split(";")[0]
        return self

    def get(self, url: str, **headers: str) -> Reply:
        return self.ask("GET", url, b"", headers)

    def post(self, url: str, body: bytes = b"", **headers: str) -> Reply:
        ours = {"origin": f"http://{self.host}", "sec_fetch_site": "same-origin"}
        return self.ask("POST", url, body, ours | headers)

    def ask(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        return asyncio.run(speak(self.guard, self.scope(method, url, headers or {}, len(body)), [body]))

    def scope(self, method: str, url: str, headers: dict[str, str], length: int = 0) -> dict[str, Any]:
        given = {"host": self.host, "cookie": self.cookie, "content_length": str(length), **headers}
        parts = urlsplit(url)
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
            "root_path": "", "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8642),
            "headers": [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in given.items() if v],
        }  # fmt: skip


async def speak(app: Any, scope: dict[str, Any], parts: Iterable[bytes], gap_s: float = 0.0) -> Reply:
    """Sends a request whose body comes in parts, `gap_s` seconds apart, and collects the answer."""
    waiting, sent = list(parts), []

    async def receive() -> dict[str, Any]:
        if gap_s:
            await asyncio.sleep(gap_s)
        if waiting:
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(waiting)}
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(m for m in sent if m["type"] == "http.response.start")
    body = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
    headers = {k.decode().lower(): v.decode("latin-1") for k, v in start["headers"]}
    return Reply(start["status"], headers, body.decode("utf-8", "replace"))


def written(folder: Path, s: Any, *more: Any) -> Path:
    """A run directory with the records of a history."""
    folder.mkdir(parents=True)
    ledger = SqliteLedger(folder / "ledger.db", create=True)
    end = [Committed(s.champion.id), s.test] if s.test is not None else []
    for record in [
        s.opening.spec,
        SessionRecord(1),
        s.opening,
        *s.blocks,
        *s.generations,
        *s.asked,
        *s.answers,
        *more,
        *end,
    ]:
        ledger.append(record)
    ledger.close()
    return folder


def sound(**options: Any) -> Any:
    """A history that may be read: its secret is the one committed to."""
    s = histories.history(**options)
    s.opening = msgspec.structs.replace(s.opening, commitment=seeding.commitment(b"s" * 32))
    return s
