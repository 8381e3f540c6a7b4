"""Where a referee service listens, and how a run process reaches it: unix:PATH or tcp:127.0.0.1:PORT, with a token."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from toprope import wire
from toprope.errors import UsageError, WorkerDied
from toprope.referee.client import Connect, Link
from toprope.referee.messages import FromHub

MIN_TOKEN = 16  # bytes
PATIENCE_S = 10.0  # for connecting


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The first message of a client. token: from the service's token file, "" for a service without one."""

    token: str = ""


class Address(NamedTuple):
    """The path of a Unix socket, or a port on the loopback interface; the other one is None."""

    path: str | None
    port: int | None

    def socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET if self.path is None else socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def place(self) -> str | tuple[str, int]:
        return self.path if self.path is not None else ("127.0.0.1", self.port or 0)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path is not None else f"tcp:127.0.0.1:{self.port}"


def parse(text: str) -> Address:
    """The address from unix:PATH or tcp:127.0.0.1:PORT. Raises UsageError for other forms; use ssh to reach a service
    from another machine."""
    kind, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if kind == "unix" and rest:
        return Address(os.path.abspath(rest), None)
    if kind == "tcp" and host == "127.0.0.1" and port.isdecimal() and len(port) <= 5 and int(port) < 65536:
        return Address(None, int(port))
    raise UsageError(f"address {text[:80]!r}; expected unix:PATH or tcp:127.0.0.1:PORT")


def read_token(path: Path | None) -> str:
    """The token in a file that only its owner can read; "" without a file. Raises UsageError for other files."""
    return "" if path is None else _enough(path, _private(path))


def read_tokens(path: Path | None) -> dict[str, str]:
    """name -> token of a service's users, from lines NAME TOKEN; a file with a single token gives it to a user with the
    name "". Without a file: {}. Raises UsageError for a malformed file, or one that others can read."""
    if path is None:
        return {}
    text = _private(path)
    if len(text.split()) == 1:
        return {"": _enough(path, text)}
    found: dict[str, str] = {}
    for number, line in enumerate(filter(None, text.splitlines()), 1):
        name, _, token = line.partition(" ")
        if not name.isalnum() or name in found or token.strip() in found.values():
            raise UsageError(f"token file {path} line {number}: expected a new NAME of letters and digits, and a TOKEN")
        found[name] = _enough(path, token.strip())
    return found


def _private(path: Path) -> str:
    try:
        state, text = path.stat(), path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"token file {path}: {e}; expected a text file that you can read") from e
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise UsageError(
            f"token file {path} has mode {stat.S_IMODE(state.st_mode):04o}; expected 0600: chmod 600 {path}"
        )
    return text


def _enough(path: Path, token: str) -> str:
    if len(token.encode()) < MIN_TOKEN:
        raise UsageError(f"token file {path} holds {len(token.encode())} bytes; expected at least {MIN_TOKEN}")
    return token


def reach(address: Address, token: str) -> Connect:
    """A function that connects to the service; the client calls it each time it needs a hub."""

    def connect() -> Link:
        sock = address.socket()
        try:
            sock.settimeout(PATIENCE_S)
            sock.connect(address.place)
            sock.settimeout(None)
        except OSError as e:
            sock.close()
            raise UsageError(
                f"no referee answers at {address}: {e.strerror or e}; start it: `toprope referee --listen {address}`"
            ) from e
        channel: wire.Channel[object] = wire.Channel(sock, FromHub, "the referee service")
        with contextlib.suppress(WorkerDied):
            channel.send(Hello(token))
        return Link(None, channel)

    return connect
