"""Clients that open connections and send little, against the real server."""

import contextlib
import socket
import time
from urllib.parse import urlsplit

import pytest

from toprope.serve import server as servers
from toprope.serve.server import in_thread


@pytest.fixture
def address(shelf, monkeypatch):
    monkeypatch.setattr(servers, "HEAD_S", 0.4)
    with in_thread(shelf.folder) as (base, token):
        yield urlsplit(base).hostname, urlsplit(base).port, token


def ended(s: socket.socket, within_s: float = 5.0) -> bytes:
    """What the server says until it closes the connection."""
    s.settimeout(within_s)
    said = b""
    try:
        while part := s.recv(4096):
            said += part
    except ConnectionResetError:
        pass
    return said


def hangs_up(s: socket.socket, within_s: float = 5.0) -> bool:
    """Sends a head byte by byte; whether the server closes the connection meanwhile."""
    end = time.monotonic() + within_s
    try:
        while time.monotonic() < end:
            s.settimeout(5)
            s.sendall(b"x")
            s.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if not s.recv(1):
                    return True
    except OSError:
        return True
    return False


def test_half_a_head_is_not_waited_for(address):
    """Nor is a connection on which nothing comes, one byte at a time, or the second request of a connection."""
    host, port, _ = address
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
    for begins in (b"", head, b"G"):
        with socket.create_connection((host, port)) as s:
            s.sendall(begins)
            assert ended(s) == b""
    with socket.create_connection((host, port)) as s:
        assert hangs_up(s), "however regularly bytes come"
    with socket.create_connection((host, port)) as s:
        s.sendall(head + b"\r\n")
        time.sleep(0.1)
        s.sendall(head)
        said = ended(s)
    assert said.count(b"HTTP/1.1 401") == 1


def test_a_head_that_is_too_long_is_refused(address):
    host, port, _ = address
    with socket.create_connection((host, port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 3 * servers.HEAD)
        assert b" 400 " in ended(s).split(b"\r\n")[0]


def test_only_loopback_is_listened_on(address):
    """The socket is bound to 127.0.0.1, not to every address of the machine."""
    with servers.listening(0) as on:
        assert on.getsockname()[0] == "127.0.0.1"
