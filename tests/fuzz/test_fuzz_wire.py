"""Messages between our processes: any bytes are a message of the right type, or a refusal; never something else."""

import socket
import struct
import subprocess
import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from fuzzing import both_forms, fuzz, outcome, spoiled, trees, twisted
from hypothesis import strategies as st

from toprope import wire
from toprope.errors import WorkerDied
from toprope.executors import messages as s
from toprope.executors.local import LocalExecutor
from toprope.referee import messages as m
from toprope.referee.address import Address, Hello, parse
from toprope.referee.recorded import Answer, Opened, RevealedVerdict
from toprope.referee.service import Service, Terms
from toprope.space import Space, choice
from toprope.stats.intervals import Estimate
from toprope.tasks import registry
from toprope.types import Block, BlockResult, Candidate, Incident, Outcome, Tree

E = Estimate(0.5, 0.4, 0.6, 0.05)
TREE = Tree({"solution.py": b"x = 1"})
CANDIDATE = Candidate(TREE, {"a": 1, "b": [1.5, "x"]})
SPACE = Space([choice("a", [1, 2]), choice("b", ["x", None])])
BLOCK = Block(TREE.digest, SPACE.digest, np.zeros((2, 2), np.uint8), (0, 1))
RESULT = BlockResult(np.zeros((2, 2)), [Outcome.OK] * 2, {1: "text"}, 0.1, 0.2, {0: [Incident("k", "certain", "e")]})
JUDGED = RevealedVerdict(1, 1, "c", True, 0, 1.5, 2.5, 64, "")
EVERY: dict[Any, list[Any]] = {
    s.ToScorer: [s.Load(TREE, SPACE), s.Work(3, BLOCK, "dev", 1, True)],
    s.FromScorer: [
        s.Ready({"tier": "none"}),
        s.Progress("w", 0.5),
        s.Done(1, RESULT, np.zeros(2), np.ones(2), np.zeros(2, np.int64)),
        s.Failed("no", 3),
    ],
    m.ToHub: [m.Attempt(CANDIDATE), m.Unseal(CANDIDATE, "head", "beacon"), m.Acknowledge(1), m.Commit("c", "head")],
    m.FromHub: [
        m.HubReady("c", True, 1, "2026-01-01", "", {"tier": "none"}, 0.1, 1),
        Answer("c", True, 1, 1, E),
        Opened(
            E,
            {"b": E},
            {"b": E},
            1,
            64,
            b"secret",
            1.0,
            np.zeros(64),
            [JUDGED],
            "b",
            {"c": [Incident("k", "certain", "e")]},
        ),
    ],
    s.ScorerConfig: [s.ScorerConfig("t", {"dev": b"s"}, "none", b"t")],
    m.HubConfig: [m.HubConfig("r", "t", "none", 1, "v")],
}
GOOD = [(kind, message) for kind, some in EVERY.items() for message in some]
kinds = st.sampled_from(list(EVERY))
HEADS = st.one_of(
    trees.map(lambda t: msgspec.json.encode(t, enc_hook=str)),
    st.tuples(st.sampled_from(["<f8", "|u1", "<i8", "<U3", "|O", "|V0", "|S4", ">f4", "<M8[s]", "f8,O", "?"]),
              st.lists(st.integers(-2, 5) | st.sampled_from([2**31, 2**63, 2**70, -(2**70)]), max_size=4))
    .map(lambda pair: b'["%s", %s]' % (pair[0].encode(), str(pair[1]).encode())),
    st.binary(max_size=30),
)  # fmt: skip


def decoded(data, kind):
    """The message, or None for one of the two errors that `decode` promises; a message survives another trip."""
    try:
        message = wire.decode(data, kind)
    except (ValueError, msgspec.DecodeError):
        return None
    again = wire.encode(message)
    assert wire.encode(wire.decode(again, kind)) == again
    return message


def arrays(head, body):
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(1, struct.pack("<I", len(head)) + head + body))


@both_forms
def test_any_bytes(form):
    """Random bytes, random msgpack and arrays with any head: decoded, or one of the two errors `decode` names."""
    packed = trees.map(lambda t: msgspec.msgpack.encode(t))
    data = st.one_of(st.binary(max_size=200), packed, st.builds(arrays, HEADS, st.binary(max_size=64)))
    fuzz("wire: bytes", form, st.tuples(data, kinds | st.just(object)), lambda case: decoded(*case))


@both_forms
def test_spoiled_messages(form):
    """Messages with bytes or values exchanged, or of another sender: of the right type in every field, or refused."""

    def cases(pair):
        kind, message = pair
        data = wire.encode(message)
        plain = msgspec.msgpack.decode(data)
        return st.tuples(
            spoiled(data) | twisted(plain).map(msgspec.msgpack.encode) | st.just(data), st.just(kind) | kinds
        )

    fuzz("wire: spoiled messages", form, st.sampled_from(GOOD).flatmap(cases), lambda case: decoded(*case))


def heard(sent, kind):
    """What a Channel makes of these bytes when the other end then hangs up."""
    ours, theirs = socket.socketpair()
    channel: wire.Channel[Any] = wire.Channel(ours, kind, "the peer")
    try:
        theirs.sendall(sent)
        theirs.close()
        return outcome(channel.recv)
    finally:
        channel.close()


@both_forms
def test_channel(form):
    """Cut, oversized or garbled messages are WorkerDied with the peer's name, and take no room for what never came."""

    def check(case):
        (data, length), kind = case
        message, error = heard(struct.pack("<I", len(data) if length is None else length) + data, kind)
        assert message is not None or (isinstance(error, WorkerDied) and "the peer" in str(error))

    good = st.sampled_from([wire.encode(message) for _, message in GOOD])
    data = st.one_of(st.binary(max_size=100), good, good.flatmap(spoiled))
    lengths = st.one_of(st.none(), st.integers(0, 200), st.integers(0, 2**32 - 1), st.just(2**32 - 1))
    fuzz("wire: channel", form, st.tuples(st.tuples(data, lengths), kinds), check)


COIN = "testing/coin-v1"
CONFIG = s.ScorerConfig(COIN, {"dev": b"secret"}, "linux-landlock")
COINS = registry.load(COIN).space
WORK = s.Work(1, Block(TREE.digest, COINS.digest, COINS.default()[None, :], (0, 1)), "dev", detail=True)


def variants(message):
    """The message, spoiled in its bytes or in a few values that may still be of the right type."""
    data = wire.encode(message)
    plain = msgspec.msgpack.decode(data)
    return st.one_of(twisted(plain, most=1).map(msgspec.msgpack.encode), spoiled(data, most=2))


def spoken_to(module, config, kind, until, sent):
    """What a real worker answers to `config` and then to these messages, until it hangs up; then how it ended."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            wire.command(module, theirs.fileno()),
            pass_fds=[theirs.fileno()],
            env=wire.child_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
    channel: wire.Channel[Any] = wire.Channel(ours, kind, "the worker")
    answers: list[Any] = []
    try:
        ours.sendall(struct.pack("<I", len(config)) + config)
        while not answers or not isinstance(answers[-1], until):
            answers.append(channel.recv())
        for message in sent:
            ours.sendall(struct.pack("<I", len(message)) + message)
        ours.shutdown(socket.SHUT_WR)
        while True:
            answers.append(channel.recv())
    except (WorkerDied, OSError):
        pass
    finally:
        channel.close()
    _, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    assert err == ""
    return answers


@pytest.mark.e2e
@both_forms
def test_a_real_scorer(form):
    """Told nonsense instead of its configuration or its work, a scorer complains or hangs up, without a traceback."""

    def check(case):
        config, sent = case
        told = [wire.encode(s.Load(TREE, COINS)), sent]
        spoken_to("toprope.referee.scorer", config, s.FromScorer, s.Ready | s.Failed, told)

    work = variants(WORK) | variants(s.Load(TREE, COINS)) | st.just(wire.encode(WORK))
    begun = st.tuples(st.just(wire.encode(CONFIG)), work)
    other = st.tuples(variants(CONFIG), st.just(wire.encode(WORK)))
    fuzz("wire: a real scorer", form, begun | begun | other, check, spawns=True)


@pytest.mark.e2e
@both_forms
def test_a_real_hub(form, tmp_path):
    """A hub that is told nonsense complains or hangs up, and so do its scorers."""
    config = m.HubConfig("run", COIN, "linux-landlock", 1, str(tmp_path / "vault"))
    candidate = Candidate(registry.load(COIN).starter(), {"face": 1, "skill": 0.0, "act": "ok"})

    def check(sent):
        spoken_to("toprope.referee.hub", wire.encode(config), m.FromHub, m.HubReady | s.Failed, [sent])

    fuzz("wire: a real hub", form, variants(m.Attempt(candidate)) | st.just(wire.encode(s.Load())), check, spawns=True)


@both_forms
def test_what_a_scorer_says(form):
    """The pool takes an answer only if it is about the work asked for, with a number where there must be one."""
    work = s.Work(1, BLOCK, "dev")

    def check(data):
        ours, theirs = socket.socketpair()
        worker = SimpleNamespace(channel=wire.Channel(ours, s.FromScorer, "a scorer"), work=work)
        with ours, theirs:
            theirs.sendall(struct.pack("<I", len(data)) + data)
            theirs.shutdown(socket.SHUT_WR)
            done, error = outcome(LocalExecutor._result, worker)
        if done is not None and error is None:
            assert done.result.scores.shape == (2, 2)
            ok = [o is Outcome.OK for o in done.result.outcomes]
            assert len(ok) == 2
            assert np.isfinite(done.result.scores).all(axis=1).tolist() == ok
            assert all(a.shape == (2,) for a in (done.floors, done.ceilings, done.groups))
            assert {*done.result.messages, *done.result.incidents} <= {0, 1}

    said = [s.Done(1, RESULT, np.zeros(2), np.ones(2), np.zeros(2, np.int64)), s.Failed("no"), s.Ready({})]
    other = BlockResult(np.full((2, 2), np.nan), [Outcome.CRASH, Outcome.OK], {}, 0.1, 0.1)
    said += [
        s.Done(i, r, np.zeros(n), np.ones(2), np.zeros(2, np.int64))
        for i, r, n in ((2, RESULT, 2), (1, other, 2), (1, RESULT, 3))
    ]
    fuzz(
        "wire: what a scorer says",
        form,
        st.sampled_from(said).flatmap(lambda x: variants(x) | st.just(wire.encode(x))),
        check,
    )


@both_forms
def test_a_real_service(form, tmp_path, monkeypatch):
    """A referee service that is told anything answers with a refusal or hangs up; no thread of it ends otherwise."""
    ends: list[object] = []
    monkeypatch.setattr(threading, "excepthook", ends.append)
    address = Address(str(tmp_path / "s"), None)
    service = Service(address, Terms(tmp_path / "vault", "linux-landlock", 1, {"": "token"}))
    threading.Thread(target=service.run, daemon=True).start()
    hello, wish = Hello("token"), m.HubConfig("run/", "no/task", "none", 1, "v")  # refused for three reasons at once

    def check(case):
        data, cut = case
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(address.place)
            try:
                sock.sendall(data[:cut] if cut is not None else data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:  # it has heard enough
                pass
            channel: wire.Channel[Any] = wire.Channel(sock, m.FromHub | m.Noted, "the service")
            said = []
            try:
                while True:
                    said.append(channel.recv())
            except WorkerDied:
                pass
        assert all(isinstance(message, s.Failed) for message in said)
        assert not ends

    def framed(*messages):
        return b"".join(struct.pack("<I", len(x)) + x for x in messages)

    first = variants(hello) | st.just(wire.encode(hello))
    frames = st.builds(framed, first, variants(wish) | st.just(wire.encode(wish)))
    cut = st.none() | st.integers(0, 80)
    fuzz("wire: a real service", form, st.tuples(frames | st.binary(max_size=80), cut), check, spawns=True)


@both_forms
def test_addresses(form):
    """Any words as the address of a referee: one that can be used, or one line."""

    def check(text):
        address, _ = outcome(parse, text)
        assert address is None or (address.path or 0 <= address.port < 65536)

    port = (
        st.integers(-9, 70_000).map(str)
        | st.sampled_from(["1" * 5000, "\u0661", "\u00b2", "", " 1"])
        | st.text(max_size=4)
    )
    tcp = port.map("tcp:127.0.0.1:{}".format)
    fuzz("address", form, tcp | st.text(max_size=9).map("unix:{}".format) | st.text(max_size=20), check)
