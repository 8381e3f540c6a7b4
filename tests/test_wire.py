"""Messages between our processes: what goes in comes out, and anything else is refused without running code."""

import resource
import socket
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest

from toprope import wire
from toprope.errors import WorkerDied
from toprope.executors.messages import Load, ToScorer, Work
from toprope.referee.messages import FromHub
from toprope.types import Block, Tree


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array(3.5),
        np.zeros((0, 4), np.float32),
        np.array([np.nan, np.inf, -0.0]),
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        np.array([True, False]),
    ],
)
def test_arrays_come_back_as_they_were(array):
    """dtype, shape and every bit, whatever the layout in memory."""
    back = wire.decode(wire.encode(array))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_records_come_back_as_they_were():
    """A tagged union finds its own type again."""
    work = Work(3, Block("t", "s", np.array([[1, 2]], np.uint8), (0, 1)), "val", 2)
    back = wire.decode(wire.encode(work), ToScorer)
    assert isinstance(back, Work)
    assert (back.id, back.split, back.slice, back.block.draws) == (3, "val", 2, (0, 1))
    assert np.array_equal(back.block.rows, work.block.rows)
    load = Load(Tree({"a": b"\0\xff"}))
    assert wire.decode(wire.encode(load), ToScorer) == load


def ext(data: bytes, code: int = 1) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, data))


def head(text: str, body: bytes = b"") -> bytes:
    return ext(struct.pack("<I", len(text)) + text.encode() + body)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", b"\x91", b"\x91" * 100_000, ext(b"ab"), ext(b"x", 7), head("[]"), head("{}"), head("nonsense"),
        head('["zz", [1]]'), head('["|O", [1]]', b"12345678"), head('["O", [1]]', b"12345678"), head('["<f8", [9]]'),
        head('["<f8", [-1, -1]]', b"12345678"), head('["<f8", ["a"]]'), head('["V0", [1]]'),
        head('[[["a", "O"]], [1]]'),
        head('[{"a": 1}, [1]]'), head('["<f8,O", [1]]', b"1" * 16), head('["(1,", [1]]'), head("[" * 100_000),
        ext(b"\xff\xff\xff\xff[]"),
    ],
)  # fmt: skip
def test_hostile_bytes_raise(data):
    """Garbage, wrong lengths, unknown extensions, arrays of objects: a ValueError or DecodeError, nothing else."""
    with pytest.raises((ValueError, msgspec.DecodeError)):
        wire.decode(data)


def test_a_record_of_another_type_is_refused():
    """The hub refuses a scorer's message, and a list in place of an array."""
    with pytest.raises(msgspec.ValidationError):
        wire.decode(wire.encode(Load()), FromHub)
    block = {"type": "Work", "id": 1, "block": {"tree": "", "space": "", "rows": [1], "draws": []}, "split": "dev"}
    with pytest.raises(msgspec.ValidationError):
        wire.decode(msgspec.msgpack.encode(block), ToScorer)


def test_what_has_no_encoding_is_not_sent():
    """An object of ours that is not a record cannot be sent."""
    with pytest.raises(TypeError, match="cannot send set"):
        wire.encode({"a": object.__new__(type("set", (), {}))})
    with pytest.raises((TypeError, ValueError)):
        wire.decode(wire.encode(np.array([object()])))


def test_a_channel_that_ends_says_who_ended():
    """End of file before, within and after a message is WorkerDied with the peer's name."""
    for sent in (b"", b"\x05\0", b"\x05\0\0\0ab"):
        ours, theirs = socket.socketpair()
        channel: wire.Channel[object] = wire.Channel(ours, ToScorer, "the peer")
        theirs.sendall(sent)
        theirs.close()
        with pytest.raises(WorkerDied, match="the peer"):
            channel.recv()
        channel.close()


def test_an_array_of_another_type_is_refused():
    """A field declared as numbers of one kind takes no others, and nothing that numpy would have to parse."""
    block = Block("t", "s", np.array([[1.5]]), (0,))
    with pytest.raises(msgspec.ValidationError, match="uint8"):
        wire.decode(wire.encode(Work(1, block, "dev")), ToScorer)
    with pytest.raises(ValueError, match="dtype"):
        wire.decode(wire.encode(np.array(["text"])))


def test_a_declared_length_takes_no_room():
    """Four bytes that promise four gigabytes and no more: WorkerDied, as for any end within a message."""
    ours, theirs = socket.socketpair()
    channel: wire.Channel[object] = wire.Channel(ours, ToScorer, "the peer")
    theirs.sendall(b"\xff\xff\xff\xff")
    theirs.close()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), limits[1]))
    try:
        with pytest.raises(WorkerDied, match="the peer"):
            channel.recv()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        channel.close()


def test_a_worker_that_asks_no_provider_has_no_keys(monkeypatch):
    """Scorers least of all: candidates' code is closest to them."""
    names = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "db_password", "GOOGLE_APPLICATION_CREDENTIALS")
    for name in names:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("TOPROPE_MONITOR_LOGS", "here")
    assert not set(names) & set(wire.child_environment())
    assert wire.child_environment()["TOPROPE_MONITOR_LOGS"] == "here"
    assert set(names) < set(wire.child_environment(keys=True))
