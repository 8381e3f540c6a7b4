"""Messages between our own processes: length-prefixed msgpack over a socket, arrays as raw bytes.

Used between run process, hub and scorers, all trusted. Candidates never speak this: their frames have their own
fixed form in `sandbox`. Nothing here can run code on decoding.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
from typing import Any, Generic, TypeVar, get_args

import msgspec
import numpy as np

from toprope.errors import WorkerDied
from toprope.unix import KEPT_PAGES, ONE_THREAD

T = TypeVar("T")
_ARRAY = 1
_LENGTH = struct.Struct("<I")
_NUMBERS = re.compile(r"[<>|][fiub][1248]")  # numpy reads far more as a dtype: objects, records, Python literals
_PART = 1 << 20  # bytes allocated at once, so that a false length costs no more memory than the data that came


def _enc_hook(obj: Any) -> Any:
    if isinstance(obj, np.ndarray):
        head = json.dumps([obj.dtype.str, obj.shape]).encode()
        return msgspec.msgpack.Ext(_ARRAY, _LENGTH.pack(len(head)) + head + np.ascontiguousarray(obj).tobytes())
    if isinstance(obj, np.generic):
        return obj.item()
    raise TypeError(f"cannot send {type(obj).__name__}")


def _ext_hook(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code}")
    try:
        (n,) = _LENGTH.unpack(data[:4])
        dtype, shape = json.loads(bytes(data[4 : 4 + n]))
        if not _NUMBERS.fullmatch(dtype):
            raise ValueError(f"array of dtype {dtype}")
        return np.frombuffer(bytes(data[4 + n :]), dtype).reshape(shape)
    except (struct.error, TypeError, RecursionError) as e:
        raise ValueError(f"malformed array: {e}") from None


def _dec_hook(kind: Any, obj: Any) -> Any:
    """kind: what the field is declared as, NDArray of a number type."""
    if not isinstance(obj, np.ndarray):
        raise ValueError(f"expected an array, got {type(obj).__name__}")
    ((wanted,),) = (get_args(a) for a in get_args(kind)[1:])  # ndarray[shape, dtype[wanted]]
    if obj.dtype != wanted:
        raise ValueError(f"expected an array of {np.dtype(wanted)}, got {obj.dtype}")
    return obj


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_hook)


def encode(obj: Any) -> bytes:
    return _encoder.encode(obj)


def decode(data: bytes, kind: Any = Any) -> Any:
    """The object of type `kind`. Raises msgspec.ValidationError or ValueError on anything else."""
    try:
        return msgspec.msgpack.decode(data, type=kind, ext_hook=_ext_hook, dec_hook=_dec_hook)
    except RecursionError:
        raise ValueError("a message nested too deeply") from None


class Channel(Generic[T]):
    """One end of a socket that carries messages; `kind` is what the other end may send."""

    def __init__(self, sock: socket.socket, kind: Any, peer: str) -> None:
        self.sock, self.peer = sock, peer
        self._decoder = msgspec.msgpack.Decoder(kind, ext_hook=_ext_hook, dec_hook=_dec_hook)

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: Any) -> None:
        data = encode(message)
        try:
            self.sock.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as e:
            raise WorkerDied(f"{self.peer} ended before it received {type(message).__name__}") from e

    def recv(self) -> T:
        """The next message. Raises WorkerDied if the other end is gone or sent a malformed message: after that, nothing
        it sends can be trusted."""
        (n,) = _LENGTH.unpack(self._exactly(4))
        try:
            return self._decoder.decode(self._exactly(n))  # type: ignore[no-any-return]
        except (ValueError, msgspec.DecodeError, RecursionError) as e:
            raise WorkerDied(f"{self.peer} sent a malformed message: {str(e)[:200]}") from None

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, n: int) -> bytearray:
        data = bytearray()
        while len(data) < n:
            at = len(data)
            data += bytes(min(n - at, _PART))
            view = memoryview(data)[at:]
            while view:
                try:
                    got = self.sock.recv_into(view)
                except OSError:
                    got = 0
                if got == 0:
                    raise WorkerDied(f"{self.peer} ended without an answer")
                view = view[got:]
            view.release()
        return data


SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
STEERS = re.compile("PYTHON(STARTUP|INSPECT|BREAKPOINT|HASHSEED|SAFEPATH|PLATLIBDIR|EXECUTABLE)|LD_(PRELOAD|AUDIT)")
SEARCHED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


def child_environment(extra: dict[str, str] | None = None, keys: bool = False) -> dict[str, str]:
    """Environment of our own worker processes: one BLAS thread, and a malloc that keeps its pages.

    No search path leads to the working directory, where an agent may write files: an empty or relative entry means that
    directory (sys.path, ld.so(8)). The hash seed is fixed, so that every process iterates over sets in the same order.
    keys: keep variables that look like the user's API keys, which only a process that asks a provider needs."""
    env = {k: v for k, v in os.environ.items() if (keys or not SECRET.search(k.upper())) and not STEERS.fullmatch(k)}
    for name in SEARCHED:
        if name in env:
            env[name] = os.pathsep.join(p for p in env[name].split(os.pathsep) if os.path.isabs(p))
    env |= {"PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
    return env | ONE_THREAD | KEPT_PAGES | (extra or {})


def command(module: str, *argv: object) -> list[str]:
    """The command line that runs one of our modules; -P keeps the working directory off its import path."""
    return [sys.executable, "-P", "-m", module, *map(str, argv)]


def spawn(
    module: str, kind: object, peer: str, environment: dict[str, str] | None = None, keys: bool = False
) -> tuple[subprocess.Popen[bytes], Channel[object]]:
    """Start one of our workers with one end of a socket pair. environment: added to what every worker gets. keys: keep
    variables that look like the user's API keys."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            command(module, theirs.fileno()),
            pass_fds=[theirs.fileno()],
            env=child_environment(environment, keys),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a task or a library prints must not mix with an answer on our stdout
            start_new_session=True,  # Ctrl-C goes to the run process, which ends its workers itself
        )
    return process, Channel(ours, kind, peer)
