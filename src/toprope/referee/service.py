"""The referee as a service under a user of its own: hubs and hidden scorers for other users' runs.

Every process of the referee's user can read the vault, so an agent with a shell is confined only if the referee runs as
another user. Each connection has one thread and one hub process; the service itself holds no secret. Every byte from a
client is hostile: size, time, schema and order of messages are checked, and a client that breaks a rule loses only its
own connection. A question is processed to the end even if the client has left, so that leaving early hides neither a
release slot nor an attempt.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from toprope import wire
from toprope.errors import TopropeError, UsageError, WorkerDied
from toprope.executors.messages import Failed
from toprope.models.messages import SCRIPTED
from toprope.referee.address import Address, Hello
from toprope.referee.messages import Acknowledge, FromHub, HubConfig, HubReady, Noted, ToHub
from toprope.referee.recorded import Answer, Opened
from toprope.tasks import registry

MAX_FRAME = 4 << 20  # bytes; a candidate's files are far smaller
FRAME_S = 10.0  # for a whole message, from its first byte; also for the client to read one
IDLE_S = 3600.0  # between two messages; the client reconnects by itself
MOST = 64  # connections at once of known users
MOST_EACH = 16  # of one user
STRANGERS = 256  # unidentified connections; beyond that the one that has waited longest is dropped
HELLO_S, HELLO_BYTES = 5.0, 4096  # for the first message
LAST = (Answer, Noted, Opened, Failed)  # messages that end the hub's answer to a question


User = int | str  # a uid; over TCP the name of a token


class Terms(NamedTuple):
    """Settings that the service decides and a client cannot change.

    tokens: name of a user -> token; empty if the kernel identifies clients. model: the only model, besides the tasks'
    own scripts, that the service asks for candidates, at its own cost. total_token_cap: tokens that all runs together
    may spend on it, because a client can begin any number of runs.
    """

    vault: Path
    tier: str
    workers: int
    tokens: dict[str, str]
    model: str = SCRIPTED
    total_token_cap: int | None = None


class ClientRefused(Exception):
    """A client broke a rule. The message goes to the service's operator only."""


class Client:
    """The service's end of a connection to a hostile client."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self.gone = sock, False
        self.uid = _peer(sock)

    def message(self, kind: object, idle_s: float = IDLE_S, whole_s: float = FRAME_S, most: int = MAX_FRAME) -> object:
        """The next message. Raises ClientRefused for a message of another kind, or one that is too long or too slow."""
        (n,) = struct.unpack("<I", self._exactly(4, idle_s, whole_s))
        if n > most:
            raise ClientRefused(f"a message of {n} bytes")
        try:
            return wire.decode(self._exactly(n, whole_s, whole_s), kind)
        except (msgspec.MsgspecError, ValueError) as e:
            raise ClientRefused(f"malformed message: {e}") from None

    def send(self, message: object) -> None:
        """Sends a message; sets `gone` if the client does not take it."""
        data = wire.encode(message)
        self._sock.settimeout(FRAME_S)
        try:
            self._sock.sendall(struct.pack("<I", len(data)) + data)
        except OSError:
            self.gone = True

    def _exactly(self, n: int, first_s: float, whole_s: float) -> bytes:
        data, end = b"", time.monotonic() + first_s
        while len(data) < n:
            self._sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                more = self._sock.recv(min(n - len(data), 1 << 16))
            except OSError as e:
                raise ClientRefused(f"silence: {e}") from None
            if not more:
                raise ClientRefused("it left")
            if not data:
                end = time.monotonic() + whole_s
            data += more
        return data


def _peer(sock: socket.socket) -> int | None:
    """The uid of the client, from the kernel; None over TCP, where the kernel does not know it."""
    if sock.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def greet(client: Client, terms: Terms) -> User:
    """The user that connects: the uid from the kernel, or over TCP the name of the token. Raises ClientRefused for a
    wrong token."""
    hello = client.message(Hello, HELLO_S, HELLO_S, HELLO_BYTES)
    assert isinstance(hello, Hello)
    names = [name for name, token in (terms.tokens or {"": ""}).items() if _same(hello.token, token)]
    if not names:
        client.send(Failed("the referee service does not take this token; see --referee-token-file"))
        raise ClientRefused("a wrong token")
    return names[0] if client.uid is None else client.uid


def _same(said: str, token: str) -> bool:
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), token.encode())


def converse(client: Client, terms: Terms) -> None:
    """Serves one connection of a known user until it ends."""
    asked = client.message(HubConfig, FRAME_S)
    assert isinstance(asked, HubConfig)
    try:
        config = _on_our_terms(asked, terms)
    except TopropeError as e:
        client.send(Failed(str(e)))
        raise ClientRefused(str(e)) from None
    process, channel = wire.spawn("toprope.referee.hub", FromHub, "the hub", keys=True)
    try:
        channel.send(config)
        _serve(client, channel)
    finally:
        _end(process, channel)


def _on_our_terms(asked: HubConfig, terms: Terms) -> HubConfig:
    registry.known(asked.task)
    if not (0 < len(asked.run) <= 64 and asked.run.isalnum()):
        raise UsageError(f"run id {asked.run[:80]!r}; expected 1 to 64 letters and digits")
    if asked.tier == "none":
        raise UsageError("a referee service does not serve runs without a sandbox; leave out --i-trust-the-candidates")
    if asked.model not in (SCRIPTED, terms.model):
        raise UsageError(
            f"this referee asks {terms.model} for candidates, not {asked.model[:80]!r}; its operator names another "
            "with `toprope referee --candidate-model`"
        )
    return msgspec.structs.replace(
        asked, vault=str(terms.vault), tier=terms.tier, workers=terms.workers, total_token_cap=terms.total_token_cap
    )


def _serve(client: Client, hub: wire.Channel[object]) -> None:
    """Question and answer in turn. A question is answered to the end even if the client leaves."""
    _pass_on(hub, client, (HubReady, Failed))
    while not client.gone:
        message = client.message(ToHub)
        hub.send(message)
        if not isinstance(message, Acknowledge):
            _pass_on(hub, client, LAST)


def _pass_on(hub: wire.Channel[object], client: Client, until: tuple[type, ...]) -> None:
    while True:
        message = hub.recv()
        if isinstance(message, HubReady):
            message = msgspec.structs.replace(message, confined=client.uid not in (None, 0, os.geteuid()))
        client.send(message)
        if isinstance(message, until):
            return


def _end(process: subprocess.Popen[bytes], channel: wire.Channel[object]) -> None:
    channel.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Service:
    """Listens until the process ends; its hubs end with it."""

    def __init__(self, address: Address, terms: Terms) -> None:
        if address.path is None and not terms.tokens:
            raise UsageError("a service on TCP needs --token-file, because the kernel does not identify TCP clients")
        if terms.model != SCRIPTED and terms.total_token_cap is None:
            raise UsageError(f"a service that asks {terms.model} for its clients needs --candidate-tokens: it pays")
        self._terms, self._open = terms, Counter[User]()
        self._strangers: dict[socket.socket, None] = {}  # in order of arrival
        self._guard = threading.Lock()
        self._socket = address.socket()
        try:
            if address.path is not None:
                _clear(address.path)
            else:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address.place)
            if address.path is not None:
                os.chmod(address.path, 0o666)  # the directory's mode decides who may reach it
            self._socket.listen(MOST)
        except OSError as e:
            raise UsageError(f"cannot listen at {address}: {e.strerror or e}; name another address") from e

    def run(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:  # out of descriptors; unidentified connections are dropped within seconds
                time.sleep(0.1)
                continue
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        """Serves one connection; its failure does not affect others. It counts as the user's after it is
        identified."""
        with contextlib.closing(sock):
            client = Client(sock)
            try:
                with self._unknown(sock):
                    user = greet(client, self._terms)
                with self._slot(client, user):
                    converse(client, self._terms)
            except (ClientRefused, WorkerDied) as e:
                print(f"connection of uid {client.uid} ended: {str(e)[:200]!r}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _unknown(self, sock: socket.socket) -> Iterator[None]:
        """A place among the unidentified connections; if they are full, the one that has waited longest is dropped."""
        with self._guard:
            if len(self._strangers) >= STRANGERS:
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._strangers[sock] = None
        try:
            yield
        finally:
            with self._guard:
                self._strangers.pop(sock, None)

    @contextlib.contextmanager
    def _slot(self, client: Client, user: User) -> Iterator[None]:
        """Counts a connection of the user. Raises ClientRefused, and tells the client, if the user has too many."""
        with self._guard:
            own, all_ = self._open[user], self._open.total()
            full = own >= MOST_EACH or all_ >= MOST
            self._open[user] += not full
        if full:
            said = f"the referee service has {own} of {MOST_EACH} connections of this user, {all_} of {MOST} in all"
            client.send(Failed(f"{said}; end a run that uses it, then resume this one"))
            raise ClientRefused("no connection is left")
        try:
            yield
        finally:
            with self._guard:
                self._open[user] -= 1


def _clear(path: str) -> None:
    """Removes a socket that no process listens at. Raises UsageError if one does."""
    if not os.path.exists(path):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise UsageError(f"a service already listens at {path}; stop it or name another address")
