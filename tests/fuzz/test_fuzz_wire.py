"""Messages between our processes: any bytes are a message of the right type, or a refusal; never something else."""

import socket
import struct

import fuzzing
import msgspec
import numpy as np
import pytest
from fuzzing import both_forms, fuzz, outcome, spoiled, trees, twisted
from hypothesis import strategies as st

from toprope import wire
from toprope.errors import WorkerDied
from toprope.referee import messages as m
from toprope.space import Space, choice
from toprope.stats.intervals import Estimate
from toprope.types import Block, BlockResult, Candidate, Incident, Outcome, Tree

E = Estimate(0.5, 0.4, 0.6, 0.05)
TREE = Tree({"solution.py": b"x = 1"})
CANDIDATE = Candidate(TREE, {"a": 1, "b": [1.5, "x"]})
SPACE = Space([choice("a", [1, 2]), choice("b", ["x", None])])
BLOCK = Block(TREE.digest, SPACE.digest, np.zeros((2, 2), np.uint8), (0, 1))
RESULT = BlockResult(np.zeros((2, 2)), [Outcome.OK] * 2, {1: "text"}, 0.1, 0.2, {0: [Incident("k", "certain", "e")]})
EVERY = {
    m.ToScorer: [m.Load(TREE, SPACE), m.Work(3, BLOCK, "dev", 1, True)],
    m.FromScorer: [
        m.Ready({"tier": "none"}),
        m.Progress("w", 0.5),
        m.Done(1, RESULT, np.zeros(2), np.ones(2), np.zeros(2, np.int64)),
        m.Failed("no", 3),
    ],
    m.ToHub: [m.Attempt(CANDIDATE), m.Unseal(CANDIDATE, {"b": CANDIDATE})],
    m.FromHub: [
        m.HubReady("c", True, 1, "2026-01-01", "", {"tier": "none"}, 0.1),
        m.Answer("c", True, 1, 1, E),
        m.Opened(E, {"b": E}, {"b": E}, 1, 64, b"secret", 1.0, {"c": [Incident("k", "certain", "e")]}),
    ],
    m.ScorerConfig: [m.ScorerConfig("t", {"dev": b"s"}, "none", b"t")],
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
        return st.tuples(spoiled(data) | twisted(plain).map(msgspec.msgpack.encode) | st.just(data), st.just(kind) | kinds)

    fuzz("wire: spoiled messages", form, st.sampled_from(GOOD).flatmap(cases), lambda case: decoded(*case))


def heard(sent, kind):
    """What a Channel makes of these bytes when the other end then hangs up."""
    ours, theirs = socket.socketpair()
    channel = wire.Channel(ours, kind, "the peer")
    try:
        theirs.sendall(sent)
        theirs.close()
        return outcome(channel.recv)
    finally:
        channel.close()


@both_forms
def test_channel(form):
    """Cut, oversized or garbled messages are WorkerDied with the peer's name, without room taken for what never came."""

    def check(case):
        (data, length), kind = case
        message, error = heard(struct.pack("<I", len(data) if length is None else length) + data, kind)
        assert message is not None or (isinstance(error, WorkerDied) and "the peer" in str(error))

    good = st.sampled_from([wire.encode(message) for _, message in GOOD])
    data = st.one_of(st.binary(max_size=100), good, good.flatmap(spoiled))
    lengths = st.one_of(st.none(), st.integers(0, 200), st.integers(0, 2**32 - 1), st.just(2**32 - 1))
    fuzz("wire: channel", form, st.tuples(st.tuples(data, lengths), kinds), check)
