"""What stands before every page: an ASGI application that asks who is there, and what may be sent and answered.

- Host: a name of loopback, so that no page of the web can reach us under a name of its own (DNS rebinding).
- Token: the address with ?token=... sets a cookie for this browser; all else needs the cookie. Comparisons take
  constant time, and wrong tokens are limited.
- POST: the request must come from our own page (Sec-Fetch-Site, Origin) and hold the form token of this session.
- Bodies are short, and come in time; answers are taken in time; streams are few.
- Every answer has a policy under which a browser runs no script but ours, loads nothing from elsewhere, and keeps no
  copy.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAMES = ("127.0.0.1", "localhost", "::1")  # of loopback; a tunnel may bring another port
BODY = 16384  # bytes of a request's body: a note of 1,000 characters, each of which a form writes as up to twelve
BODY_S, SEND_S = 10.0, 30.0  # for a whole body to come; for a part of an answer to be taken
FAILURES, REFILL_S = 10, 6.0  # wrong tokens that are answered at once; seconds until one more is
STREAMS = 16  # of events, at the same time
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Tries:
    """How many wrong tokens may still be tried: a bucket that refills."""

    def __init__(self, most: int = FAILURES, refill_s: float = REFILL_S) -> None:
        self._most, self._refill, self._left, self._at = most, refill_s, float(most), time.monotonic()

    @property
    def spent(self) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) / self._refill)
        self._at = now
        return self._left < 1

    def failed(self) -> None:
        self._left -= 1


class Guard:
    """Wraps the pages. token: what the address on the terminal carries; None makes a random one."""

    def __init__(self, app: App, token: str | None = None) -> None:
        self._app = app
        self.token = token or secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)  # the cookie; the token itself is in no later request
        self._cookie = f"toprope-{secrets.token_hex(4)}"  # cookies are shared by all ports of a host
        self.form = hmac.new(self._session.encode(), b"form", hashlib.sha256).hexdigest()
        self._tries, self._streams = Tries(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        send = _sealed(send)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        why = self._refused(scope, headers)
        if why is None and scope["method"] == "POST":
            receive, why = await self._form(scope, headers, receive)
        if why is not None:
            await _say(send, *why)
            return
        if not scope["path"].endswith("/events"):
            await self._app(scope, receive, send)
            return
        if self._streams >= STREAMS:
            await _say(send, 503, f"{STREAMS} pages are open that follow a run; close one of them")
            return
        self._streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams -= 1

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[Any, ...] | None:
        """(status, words, more headers) of a refusal, or of the answer to a right token; None to go on."""
        if scope["type"] != "http":
            return 400, "only HTTP is spoken here"
        if _name(headers.get("host", "")) not in NAMES:
            return 421, "this address is not ours; open the one that `toprope serve` printed"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET, HEAD and POST are known here"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "another site may not ask for this"
        if (given := _token(scope)) is not None:
            return self._entered(scope, given)
        if not hmac.compare_digest(_cookie(headers, self._cookie).encode(), self._session.encode()):
            return 401, (
                "Open the address that `toprope serve` printed, with its token. "
                "If you have just done so, reload this page."
            )
        return None

    def _entered(self, scope: Scope, given: str) -> tuple[Any, ...]:
        if self._tries.spent:
            return 429, "too many wrong tokens; wait a minute", {"retry-after": "60"}
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            self._tries.failed()
            return 401, "this token is wrong; open the address that `toprope serve` printed last"
        rest = [(k, v) for k, some in _query(scope).items() for v in some if k != "token"]
        path = "/" + scope["path"].lstrip("/\\")  # //name would lead to another host
        where = quote(path, safe="/") + ("?" + urlencode(rest) if rest else "")
        cookie = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        return 303, "", {"location": where, "set-cookie": cookie}

    async def _form(
        self, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> tuple[Receive, tuple[Any, ...] | None]:
        """The body of a POST, read whole; or why it is refused."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin", "null")
        named = origin != "null"  # our own policy, no-referrer, keeps a browser from naming us
        ours = urlsplit(origin).netloc == headers["host"] if named else site == "same-origin"
        if not ours or site not in (None, "same-origin"):
            return receive, (403, "this request does not come from a page of ours")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY:
            return receive, (413, f"the body is longer than {BODY} bytes", {"connection": "close"})
        body = b""
        try:
            async with asyncio.timeout(BODY_S):
                more = True
                while more:
                    part = await receive()
                    body += part.get("body", b"")
                    more = part.get("more_body", False)
                    if len(body) > BODY:
                        return receive, (413, f"the body is longer than {BODY} bytes", {"connection": "close"})
        except TimeoutError:
            return receive, (408, f"the body did not come within {BODY_S:g} s", {"connection": "close"})
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=16)
        if not hmac.compare_digest(fields.get("form", [""])[0].encode(), self.form.encode()):
            return receive, (403, "this form is old; load its page again")
        scope["toprope.form"] = {k: v[0] for k, v in fields.items()}
        return receive, None


def _name(host: str) -> str:
    """The name in a Host header, without the port; "" if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _query(scope: Scope) -> dict[str, list[str]]:
    try:
        return parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=32)
    except ValueError:
        return {}


def _token(scope: Scope) -> str | None:
    given = _query(scope).get("token")
    return given[0] if given else None


def _cookie(headers: dict[str, str], name: str) -> str:
    """The value of a cookie; "" without it. Cookies of other servers on this host may be malformed."""
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def _sealed(send: Send) -> Send:
    """Adds our headers to every answer, and gives up on a client that does not take it."""

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {k.encode(): v.encode() for k, v in HEADERS.items()}
            others = [(k, v) for k, v in message.get("headers", []) if k.lower() not in ours]
            message = {**message, "headers": [*others, *ours.items()]}
        async with asyncio.timeout(SEND_S):
            await send(message)

    return sealed


async def _say(send: Send, status: int, words: str, more: dict[str, str] | None = None) -> None:
    """A short answer in plain text."""
    headers = {"content-type": "text/plain; charset=utf-8", **(more or {})}
    body = f"toprope: {words}\n".encode() if words else b""
    start = [(k.encode(), v.encode("latin-1")) for k, v in {**headers, "content-length": str(len(body))}.items()]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
