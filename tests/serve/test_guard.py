"""What stands before the pages. Each attack is tried against the guard, and where it can be against none."""

import asyncio
import contextlib
import hmac
import time

import pytest
from asking import Client, speak

from toprope.serve import guard as guards
from toprope.serve.app import make
from toprope.serve.pages import stop

PAGES = ["/", "/runs/done", "/runs/done/experiments", "/tasks", "/static/live.js", "/events", "/runs/done/report"]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_the_token(shelf, path):
    """No page, no file and no stream; the answer says where the token is, and not what it is."""
    guard = make(shelf)
    reply = Client(guard).get(path)
    assert reply.status == 401
    assert guard.token not in reply.text
    assert "toprope serve" in reply.text


@pytest.mark.parametrize("path", [p for p in PAGES if p != "/events"])
def test_without_the_cookie_the_attack_works(shelf, path, monkeypatch):
    """The control: the same stranger, where every request counts as one that brought the cookie."""
    guard = make(shelf)
    monkeypatch.setattr(guards, "_cookie", lambda headers, name: guard._session)
    reply = Client(guard).get(path)
    assert (reply.status, len(reply.text) > 500) == (200, True)


@pytest.mark.parametrize(
    "cookie", ["toprope=x", "toprope-00000000=", "a=b; c", "toprope-{name}=wrong", "=;=;;", "\xff"]
)
def test_a_wrong_cookie_does_not_enter(shelf, cookie):
    guard = make(shelf)
    stranger = Client(guard)
    stranger.cookie = cookie.replace("{name}", guard._cookie.removeprefix("toprope-"))
    assert stranger.get("/").status == 401


def test_the_token_becomes_a_cookie_that_scripts_cannot_read(shelf):
    """It leads to the same page without the token in its address; the cookie is not the token."""
    guard = make(shelf)
    reply = Client(guard).get(f"/runs/done?token={guard.token}&axis=minutes")
    assert (reply.status, reply.headers["location"]) == (303, "/runs/done?axis=minutes")
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert guard.token not in cookie


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "//evil.example%0d%0aset-cookie:a=b"])
def test_the_address_after_the_token_stays_here(shelf, path):
    """A path that begins with two slashes would lead to another host."""
    guard = make(shelf)
    client = Client(guard)
    scope = client.scope("GET", "/", {})
    scope |= {"path": path, "query_string": f"token={guard.token}".encode()}
    where = asyncio.run(speak(guard, scope, [b""])).headers["location"]
    assert where.startswith("/")
    assert not where.startswith(("//", "/\\"))
    assert "\r" not in where


def test_wrong_tokens_are_limited(shelf, monkeypatch):
    """After ten of them even the right one has to wait, but who is in stays in."""
    guard = make(shelf)
    inside, stranger = Client(guard).enter(), Client(guard)
    assert [stranger.get("/?token=x").status for _ in range(12)] == [401] * 10 + [429] * 2
    assert stranger.get(f"/?token={guard.token}").status == 429
    assert inside.get("/").status == 200
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert stranger.get(f"/?token={guard.token}").status == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8642", "localhost.evil:1", "", "[", "0.0.0.0:8642"]
)
def test_another_name_is_not_ours(shelf, host):
    """A page of the web may have its own name lead to 127.0.0.1 (DNS rebinding); the browser sends that name."""
    guard = make(shelf)
    client = Client(guard).enter()
    client.host = host
    assert client.get("/").status == 421


@pytest.fixture
def ended(monkeypatch):
    """The processes that the stop button has ended: none is at work here, so its last step is recorded in place of
    done."""
    found: list[int] = []
    monkeypatch.setattr(stop, "holder", lambda run: 4321)
    monkeypatch.setattr(stop, "end", lambda run, pid: not found.append(pid))
    return found


def test_without_the_check_of_the_host_the_attack_works(client, ended, monkeypatch):
    """The control: a page under its own name that leads here reads a run, and its form, which is of the same origin
    then, ends a climb."""
    client.host = "evil.example:8642"
    body = f"form={client.guard.form}".encode()
    assert (client.get("/runs/open").status, client.post("/runs/open/stop", body).status, ended) == (421, 421, [])
    monkeypatch.setattr(guards, "_name", lambda host: "localhost")
    assert "testing/coin-v1" in client.get("/runs/open").text
    assert (client.post("/runs/open/stop", body).status, ended) == (303, [4321])


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:9000", "[::1]:8642", "LOCALHOST"])
def test_names_of_loopback_are_ours(shelf, host):
    """Also with the port of a tunnel."""
    client = Client(make(shelf)).enter()
    client.host = host
    assert client.get("/").status == 200


FOREIGN = {
    "another site": {"origin": "http://evil.example", "sec_fetch_site": "cross-site"},
    "another port": {"origin": "http://127.0.0.1:9", "sec_fetch_site": "same-site"},
    "an old browser on another site": {"origin": "http://evil.example", "sec_fetch_site": ""},
    "a page without origin": {"origin": "null", "sec_fetch_site": ""},
    "another site without origin": {"origin": "null", "sec_fetch_site": "cross-site"},
    "neither header": {"origin": "", "sec_fetch_site": ""},
    "headers that contradict": {"origin": "http://evil.example", "sec_fetch_site": "same-origin"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_form_of_another_page_is_refused(client, name):
    """Even with the cookie and the form's token."""
    body = f"form={client.guard.form}".encode()
    assert client.post("/runs/open/stop", body, **FOREIGN[name]).status == 403


FORMLESS = (b"", b"form=", b"form=" + b"0" * 64, b"x=1&form=%ff")


def test_a_form_needs_its_token(client, ended):
    for body in FORMLESS:
        assert (client.post("/runs/open/stop", body).status, ended) == (403, [])


def test_without_the_forms_token_the_attack_works(client, ended, monkeypatch):
    """The control: the same forms, where every token is right, end the climb."""
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: True)  # this browser's cookie is right as it is
    for body in FORMLESS:
        assert client.post("/runs/open/stop", body).status == 303
    assert len(ended) == len(FORMLESS)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8642", "null", ""])
def test_a_form_of_our_own_passes(client, origin):
    """The control of the two tests above: it reaches the page, which says that nothing runs. Under our own policy a
    browser sends the origin "null"."""
    reply = client.post("/runs/open/stop", f"form={client.guard.form}".encode(), origin=origin)
    assert reply.status == 422
    assert "no command of toprope holds run open" in reply.text


def test_another_site_may_not_load_parts(client):
    """A picture or a script on another page, which would bring the cookie with it in an old browser."""
    assert client.get("/runs/done/report", sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(client, method):
    assert client.ask(method, "/").status == 405


def test_a_body_that_is_too_long_is_refused(client):
    """By its announced length before it comes, and by what comes where none is announced."""
    assert client.post("/runs/open/stop", b"x", content_length=str(guards.BODY + 1)).status == 413
    assert client.post("/runs/open/stop", b"x", content_length="1e3").status == 413
    assert flooded(client) == (413, guards.BODY + 1024)


def flooded(client, parts=1024):
    """Sends a body of 1 MiB in parts of 1 KiB, without a length: the answer's status, and how many bytes were taken."""
    headers = {"origin": f"http://{client.host}", "transfer_encoding": "chunked"}
    scope = client.scope("POST", "/runs/open/stop", headers)
    taken, said = 0, []

    async def receive():
        nonlocal taken
        taken += 1024
        return {"type": "http.request", "body": b"x" * 1024, "more_body": taken < 1024 * parts}

    async def send(message):
        said.append(message)

    asyncio.run(client.guard(scope, receive, send))
    return said[0]["status"], taken


def test_without_the_limit_of_a_body_the_attack_works(client, monkeypatch):
    """The control: the server takes and holds whatever a client sends, and only then looks for the form's token."""
    monkeypatch.setattr(guards, "BODY", 2**40)
    assert flooded(client) == (403, 1 << 20)


def test_a_body_that_does_not_come_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(guards, "BODY_S", 0.05)
    scope = client.scope("POST", "/runs/open/stop", {"origin": f"http://{client.host}"})
    assert asyncio.run(speak(client.guard, scope, [b"a", b"b", b"c"], gap_s=0.03)).status == 408


def test_an_answer_that_nobody_takes_is_given_up(client, monkeypatch):
    monkeypatch.setattr(guards, "SEND_S", 0.05)

    async def stuck(message):
        await asyncio.sleep(3600)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(TimeoutError):
        asyncio.run(client.guard(client.scope("GET", "/", {}), receive, stuck))


def test_streams_are_few(client, monkeypatch):
    """One more than allowed is told so; a stream that ends makes room."""
    monkeypatch.setattr(guards, "STREAMS", 2)

    async def many():
        hold = [asyncio.create_task(speak(client.guard, client.scope("GET", "/events", {}), [b""])) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await speak(client.guard, client.scope("GET", "/events", {}), [b""])
        for task in hold:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return refused.status, client.guard._streams

    assert asyncio.run(many()) == (503, 0)


@pytest.mark.parametrize("path", [*PAGES[:-2], "/nothing", "/runs/nothing"])
def test_every_answer_has_the_policy(client, path):
    """Also errors, and answers to strangers."""
    for reply in (client.get(path), Client(client.guard).get(path)):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"


def test_a_websocket_is_refused(client):
    scope = client.scope("GET", "/", {}) | {"type": "websocket"}
    assert asyncio.run(speak(client.guard, scope, [b""])).status == 400
