"""The referee as a service: it serves honest runs, and a hostile client ends its own connection only."""

import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import cells
import pytest

from toprope import wire
from toprope.errors import UsageError
from toprope.executors.messages import Failed
from toprope.referee.address import Address, Hello, parse, reach, read_token, read_tokens
from toprope.referee.client import HubClient, Link
from toprope.referee.messages import Acknowledge, Attempt, HubConfig, HubReady, Unseal
from toprope.referee.recorded import Answer
from toprope.referee.service import MOST_EACH
from toprope.referee.vault import Vault
from toprope.types import Candidate, Tree

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
SLOW = b"""
import time
import numpy as np

def answer(nonce, *, params):
    time.sleep(0.01)
    return np.array([1, 0, nonce[0]])
"""


def config(run: str, **more: object) -> HubConfig:
    return HubConfig(run, COIN, "linux-landlock", 1, "/nowhere", "secret", **more)


class Running:
    """A service in a process of its own. token: in its file, or there names and tokens of several users."""

    def __init__(self, base: Path, listen: str, users: dict[str, str] | None = None) -> None:
        self.vault, self.token, self.token_file = base / "vault", secrets.token_hex(16), base / "token"
        lines = [f"{name} {token}" for name, token in (users or {}).items()]
        self.token_file.write_text("\n".join(lines) or self.token)
        self.token_file.chmod(0o600)
        self.address = parse(listen)
        options = ["--vault", str(self.vault), "--token-file", str(self.token_file), "--workers", "1"]
        command = [sys.executable, "-m", "toprope.cli", "referee", "--listen", listen, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith("referee at"), line

    def connect(self) -> socket.socket:
        sock = self.address.socket()
        sock.connect(self.address.place)
        return sock

    def client(self, run: str) -> HubClient:
        return HubClient(config(run), connect=reach(self.address, self.token))

    def close(self) -> str:
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate()[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    base = tmp_path_factory.mktemp("service")
    running = Running(base, f"unix:{base / 'socket'}")
    yield running
    running.close()


def coin(face: int, skill: float) -> Candidate:
    from toprope.tasks import registry

    return Candidate(registry.load(COIN).starter(), {"face": face, "skill": skill, "act": "ok"})


def heard(sock: socket.socket) -> bytes:
    """What the service says; nothing if it hangs up, also with bytes of ours unread."""
    sock.settimeout(30)
    try:
        return sock.recv(1 << 16)
    except ConnectionResetError:
        return b""


def ends(sock: socket.socket) -> bool:
    """Whether the service hangs up without another word."""
    return heard(sock) == b""


def turned_away(service: Running, asked: HubConfig, token: str | None = None) -> str:
    """What a client is told that is not let in."""
    client = HubClient(asked, connect=reach(service.address, token or service.token))
    with pytest.raises(UsageError) as e:
        client.wait_ready()
    client.close()
    return str(e.value)


def frame(message: object) -> bytes:
    data = wire.encode(message)
    return struct.pack("<I", len(data)) + data


def test_hostile_bytes_end_their_own_connection(service):
    """Too long, no message, another message, order or task, no run id: gone; the next client is served."""
    hello = frame(Hello(service.token))
    hostile = [
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 5) + b"\xc1\xff\xff\xff\xff",
        struct.pack("<I", 100_000) + b"\x91" * 100_000,
        frame(config("r")),
        frame(Hello("a wrong token")),
        hello + frame(Unseal(coin(1, 0.1), "")),
        hello + struct.pack("<I", 5 << 20),
        hello + frame({"type": "HubConfig", "run": 7}),
    ]
    for data in hostile:
        with closing(service.connect()) as sock:
            sock.sendall(data)
            answer = heard(sock)
            assert answer == b"" or b"does not take this token" in answer
            assert answer == b"" or ends(sock)
    for bad in (config("../../etc"), config("r" * 65)):
        assert "expected 1 to 64" in turned_away(service, bad)
    assert "is unknown" in turned_away(service, HubConfig("r", "no/task-v1", "linux-landlock", 1, ""))
    client = service.client("afterwards")
    client.submit(coin(1, 0.1), 2)
    assert client.answer().promoted
    client.close()


def test_the_service_decides_vault_tier_and_workers(service, tmp_path):
    """What a client writes there is not used, and a run without a sandbox is refused."""
    client = service.client("terms")
    client.wait_ready()
    assert client.ready.protection["tier"] == cells.best()
    assert client.ready.confined is False  # the same user
    client.close()
    assert Vault(service.vault).begin_session("terms", COIN, "secret", 1)[1] == 2
    assert "without a sandbox" in turned_away(service, HubConfig("loose", COIN, "none", 1, ""))


def test_work_before_the_ledger_holds_the_sitting(service):
    """A question before the acknowledgement gets no answer and counts nothing."""
    link = reach(service.address, service.token)()
    link.channel.send(config("early"))
    while not isinstance(link.channel.recv(), HubReady):
        pass
    link.channel.send(Attempt(coin(1, 0.1)))
    heard = link.channel.recv()
    assert isinstance(heard, Failed)
    assert "did not acknowledge session" in heard.message
    link.channel.close()
    assert Vault(service.vault).attempts("early") == 0


def test_leaving_early_hides_nothing(service):
    """A client that goes while its attempt is at work: the attempt is finished, with its verdict and its tick."""
    link = reach(service.address, service.token)()
    link.channel.send(config("left"))
    while not isinstance(ready := link.channel.recv(), HubReady):
        pass
    link.channel.send(Acknowledge(ready.session_number))
    slow = Candidate(Tree({"solution.py": SLOW}), {})
    link.channel.send(Attempt(slow, 2))
    vault = Vault(service.vault)
    while not vault.attempts("left"):
        time.sleep(0.01)
    link.channel.close()
    while not (judged := vault.judged("left")):
        time.sleep(0.05)
    assert [(v.candidate, v.attempt, v.promoted) for v in judged] == [(slow.id, 1, False)]
    again = HubClient(config("left", session_number=1), connect=reach(service.address, service.token))
    again.submit(slow, 2)
    assert again.answer() == Answer(slow.id, False, 1, 1, None, judged[0].release_slot)
    again.close()


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_strangers_keep_nobody_out(tmp_path):
    """Hundreds of sockets that say nothing, or half a word, take no slot: a client with the token is served."""
    running = Running(tmp_path, f"tcp:127.0.0.1:{port()}")
    try:
        idle = [running.connect() for _ in range(300)]
        for sock in idle[::2]:
            with suppress(OSError):
                sock.sendall(b"\x10")
        client = running.client("r")
        client.wait_ready()
        client.close()
        assert ends(idle[0])  # the ones that wait longest are dropped
        for sock in idle:
            sock.close()
    finally:
        running.close()


@pytest.mark.slow
def test_one_user_cannot_take_every_slot(tmp_path):
    """Over TCP a name and token for each user: one who holds all it may is told so, and another is served."""
    base = tmp_path / "names"
    base.mkdir()
    running = Running(base, f"tcp:127.0.0.1:{port()}", {"greedy": "g" * 32, "modest": "m" * 32})
    try:
        held: list[Link] = []
        for _ in range(MOST_EACH):
            link = reach(running.address, "g" * 32)()
            link.channel.send(config(f"g{len(held)}"))
            while not isinstance(link.channel.recv(), HubReady):
                pass
            held.append(link)
        assert "16 of 16 connections of this user" in turned_away(running, config("more"), "g" * 32)
        client = HubClient(config("r"), connect=reach(running.address, "m" * 32))
        client.wait_ready()
        client.close()
        for link in held:
            link.channel.close()
    finally:
        running.close()


def test_tcp_needs_a_token(tmp_path):
    """Without one it does not start; with one a client that does not hold it is told so in one line."""
    listen = f"tcp:127.0.0.1:{port()}"
    command = [sys.executable, "-m", "toprope.cli", "referee", "--listen", listen]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "--token-file" in done.stderr) == (2, True)
    running = Running(tmp_path, listen)
    try:
        assert "does not take this token" in turned_away(running, config("r"), "x" * 32)
        client = running.client("r")
        client.wait_ready()
        assert client.ready.confined is False  # TCP does not say who is there
        client.close()
    finally:
        running.close()


@pytest.mark.parametrize("text", ["tcp:0.0.0.0:80", "tcp:127.0.0.1:99999", "unix:", "127.0.0.1:80", "tcp:127.0.0.1:x"])
def test_addresses_that_are_none(text):
    """Only a Unix socket or the loopback interface; the message says so."""
    with pytest.raises(UsageError, match=r"expected unix:PATH or tcp:127\.0\.0\.1:PORT"):
        parse(text)
    assert parse("tcp:127.0.0.1:80") == Address(None, 80)


def test_token_files(tmp_path):
    """Readable by its owner only, and long enough; a referee that is not there is one line."""
    path = tmp_path / "token"
    path.write_text("x" * 32)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == "x" * 32
    assert read_tokens(path) == {"": "x" * 32}
    assert read_tokens(None) == {}
    path.write_text(f"ann {'a' * 16}\nbob {'b' * 16}\n")
    assert read_tokens(path) == {"ann": "a" * 16, "bob": "b" * 16}
    for wrong in (f"ann {'a' * 16}\nann {'b' * 16}", f"ann {'a' * 16}\nbob {'a' * 16}", "ann short"):
        path.write_text(wrong)
        with pytest.raises(UsageError, match=r"token file .* (line 2|at least 16)"):
            read_tokens(path)
    path.write_text("short")
    with pytest.raises(UsageError, match="at least 16"):
        read_token(path)
    with pytest.raises(UsageError, match="no referee answers at unix:"):
        reach(parse(f"unix:{tmp_path / 'nobody'}"), "")()
