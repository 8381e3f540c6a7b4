"""The child's side of a dialogue: load the candidate, play rounds, write one frame per variant into shared slots.

The candidate owns this process, so all that is written here is untrusted; the scorer checks it again.

Wire, scorer to child (trusted direction): <json length, blob length>, JSON, blob, at most one descriptor.
    job    files, parameter levels, rows, entries wanted, slots memfd      -> hello
    case   public arrays as a sealed memfd                                  -> nothing
    round  calls, variants, nonces, inline arrays                           -> frames in the slots, then "done"
Wire, child to scorer: <kind, number, length>, text; the first is "S", set up, or "M", the machine does not allow it,
both before any of the candidate's code is run; "T": a decoy was touched; "P", "Q": part and end of a question to a
model, which is answered before anything else. Frames go through the slots memfd: a counter (the round's number
above, finished variants below), then per variant nonce, number, kind and the declared arrays, exact bytes. What is
finished survives a kill.
"""

from __future__ import annotations

import array
import contextlib
import functools
import importlib.abc
import importlib.machinery
import json
import mmap
import os
import socket
import struct
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence

from . import cases
from .decoys import Decoys
from .model import Model

OK, INVALID, CRASH, MEMORY = 1, 2, 3, 4  # frame kinds
LENGTHS = struct.Struct("<II")
NOTE = struct.Struct("<cIH")
HEAD = struct.Struct("<QII")
ROUND = 32  # from this bit upwards the counter holds the number of the round
BATCHED = "_batched"  # ends the name of a function that answers for all variants of a round at once
FIRST = 64  # bytes before the first frame: the counter on a cache line of its own
STATUS = struct.Struct("<idd")  # wait status, CPU seconds of the child, CPU seconds of the zygote for it
NO_CHILD = b"N"  # first byte of the answer if no child could be made; the reason follows
TEXT_MAX = 500


class Refusal(Exception):
    """The candidate's answer does not fit the schema."""


class ParentMessage(NamedTuple):
    meta: dict[str, Any]
    blob: memoryview
    fd: int


class ParentChannel:
    """The socket to the scorer. It uses recvmsg, read and write only: the seccomp filter allows no other calls."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)

    def receive(self) -> ParentMessage:
        head, extra, _, _ = self.socket.recvmsg(LENGTHS.size, socket.CMSG_SPACE(4))
        if not head:
            os._exit(0)
        fd = array.array("i", extra[0][2])[0] if extra else -1
        n_json, n_blob = LENGTHS.unpack(head + self.exactly(LENGTHS.size - len(head)))
        return ParentMessage(json.loads(bytes(self.exactly(n_json))), self.exactly(n_blob), fd)

    def exactly(self, n: int) -> memoryview:
        """The next n bytes, read-only; received where they stay, because rounds of many variants are large."""
        data = bytearray(n)
        rest = memoryview(data)
        while rest:
            got = self.socket.recvmsg_into([rest])[0]
            if not got:
                os._exit(0)
            rest = rest[got:]
        return memoryview(data).toreadonly()

    def note(self, kind: bytes, number: int, text: bytes) -> None:
        data = memoryview(NOTE.pack(kind, number, len(text)) + text)
        while data:
            data = data[os.write(self.fd, data) :]


def mapped(job: ParentMessage) -> mmap.mmap:
    """The shared memory for answers that came with the job."""
    slots = mmap.mmap(job.fd, job.meta["slots"])
    os.close(job.fd)
    return slots


def converse(channel: ParentChannel, job: ParentMessage, slots: mmap.mmap) -> None:
    """Sends hello, then plays cases and rounds until the scorer closes the socket."""
    try:
        session = ChildSession(channel, job, slots)
    except BaseException as e:  # also SystemExit: the candidate's top level may raise anything
        kind, text = explain(e)
        channel.note(b"X", kind, text if job.meta["detail"] else b"")
        return
    found = bytes(callable(getattr(session.solution, name, None)) for name in job.meta["entries"])
    channel.note(b"H", 0, found)
    while True:
        message = channel.receive()
        if "calls" in message.meta:
            session.play(message)
        else:
            session.open_case(message)


class ChildSession:
    """One candidate in one child: its modules, its variants' parameters, and the objects that `keep` stores for this
    case."""

    def __init__(self, channel: ParentChannel, job: ParentMessage, slots: mmap.mmap) -> None:
        meta, blob = job.meta, bytes(job.blob)
        self.channel, self.detail, self.model = channel, meta["detail"], meta["model"]
        self.slots = slots
        self.counter = memoryview(self.slots)[:8].cast("Q")
        self.names = [name for name, _ in meta["levels"]]
        self.levels = [levels for _, levels in meta["levels"]]
        self.mutable = [any(isinstance(v, list | dict) for v in levels) for levels in self.levels]
        k, p = meta["rows"]
        self.rows = [blob[i * p : (i + 1) * p] for i in range(k)]
        self.public: dict[str, np.ndarray[Any, Any]] = {}
        self.kept: dict[int, dict[str, Any]] = {}
        self.seed = Seed(0)
        self.decoys = Decoys(meta["decoys"]) if meta["decoys"] else None
        files = {name: blob[start:stop] for name, start, stop in meta["files"]}
        finder = Finder(files)
        sys.meta_path.insert(0, finder)
        self.solution = finder.load("solution")

    def open_case(self, message: ParentMessage) -> None:
        """Maps this case's public arrays, read-only, and drops the objects kept for the last case."""
        memory = mmap.mmap(message.fd, message.meta["size"], prot=mmap.PROT_READ)
        os.close(message.fd)
        self.public = table(memory)
        self.kept = {}
        self.seed = Seed(message.meta["seed"])

    def params(self, variant: int) -> dict[str, Any]:
        """A variant's parameters, made again for every call, because a candidate may change them."""
        values = [levels[code] for levels, code in zip(self.levels, self.rows[variant], strict=True)]
        for i, mutable in enumerate(self.mutable):
            if mutable:
                values[i] = json.loads(json.dumps(values[i]))
        return dict(zip(self.names, values, strict=True))

    def columns(self, variants: list[int]) -> dict[str, np.ndarray[Any, Any]]:
        """The parameters of several variants, one array (k,) per name: bool, int or float where all levels are of one
        kind, otherwise objects. Made again for every call, like `params`."""
        rows = b"".join([self.rows[variant] for variant in variants])
        codes = np.frombuffer(rows, np.uint8).reshape(len(variants), len(self.names))
        return {name: column(self.levels[i])[codes[:, i]] for i, name in enumerate(self.names)}

    def play(self, message: ParentMessage) -> None:
        """Plays all calls of one round on each variant in turn. The counter moves only after a frame is complete."""
        meta, blob, n = message.meta, message.blob, message.meta["n"]
        variants = np.frombuffer(blob, "<u4", n).tolist()
        nonces = np.frombuffer(blob, "<u8", n, 4 * n).tolist()
        inline = {name: view(blob, dtype, shape, 12 * n + start) for name, dtype, shape, start in meta["arrays"]}
        own = {name: view(blob, dtype, [n, *shape], 12 * n + start) for name, dtype, shape, start in meta["own"]}
        kind_of = frame([spec for call in meta["calls"] for spec in call["returns"]])
        frames = np.frombuffer(self.slots, kind_of, n, FIRST)
        base = self.counter[0] = meta["round"] << ROUND
        runners = [VariantRunner(self, call, {**self.public, **inline}, own, frames) for call in meta["calls"]]
        if meta["batched"]:
            kind = self.play_batched(runners, variants)
            frames["#nonce"], frames["#variant"], frames["#kind"] = nonces, variants, kind
            self.counter[0] = base + n
            self.said(n, meta["nonce"])
            return
        calls = [runner.play for runner in runners]
        slots, counter, head, size = self.slots, self.counter, HEAD.pack_into, kind_of.itemsize
        for slot, variant in enumerate(variants):
            kind, text = OK, b""
            try:
                for call in calls:
                    text = call(variant, slot) or text
            except BaseException as e:
                kind, text = explain(e)
            if text and self.detail:
                self.channel.note(b"E", variant, text)
            head(slots, FIRST + slot * size, nonces[slot], variant, kind)
            counter[0] = base + slot + 1
        self.said(n, meta["nonce"])

    def play_batched(self, runners: list[VariantRunner], variants: list[int]) -> int:
        """Plays all calls of one round once for all variants. Returns the kind of every frame: after an exception the
        scorer discards them all and asks each variant alone, in a new child."""
        try:
            for runner in runners:
                runner.play_batched(variants)
        except BaseException as e:
            kind, text = explain(e)
            if self.detail:
                self.channel.note(b"E", variants[0], text)
            return kind
        return OK

    def said(self, n: int, nonce: str) -> None:
        """Ends a round: tells whether a decoy was touched, and that n variants are done."""
        if self.decoys is not None and (name := self.decoys.touched()):
            self.channel.note(b"T", 0, name)
        self.channel.note(b"D", n, nonce.encode())


class VariantRunner:
    """One Call prepared for all variants: function found, arguments resolved, columns bound."""

    def __init__(
        self, session: ChildSession, call: dict[str, Any], arrays: dict[str, Any], own: dict[str, Any], frames: Any
    ) -> None:
        self.session, self.name, self.keep, self.own = session, call["fn"], call["keep"], own
        self.fn = getattr(session.solution, self.name, None)
        accepts = accepted(self.fn) if callable(self.fn) else frozenset()
        self.args = [(name, arrays.get(name)) for name in call["args"]]
        self.named = [(name, arrays.get(name)) for name in call["kwargs"]]
        self.kwargs = [(name, value) for name, value in self.named if accepts is None or name in accepts]
        self.params = accepts is None or "params" in accepts
        self.rng = accepts is None or "rng" in accepts
        self.model = session.model and (accepts is None or "model" in accepts)
        self.returns = [(name, np.dtype(dtype), tuple(shape), frames[name]) for name, dtype, shape in call["returns"]]
        self.cases = cases.unpack(arrays[call["each"]].tobytes()) if call["each"] is not None else None
        self.texts = {name: arrays[name].tobytes() for name in call["texts"]}
        self.items = arrays[call["items"]].tobytes() if call["items"] is not None else None

    def play(self, variant: int, slot: int) -> bytes:
        """Runs the call for one variant. Returns the text of the first error in a single case, b"" without one; other
        errors are raised."""
        if self.fn is None:
            raise Refusal(f"solution.py defines no function {self.name}")
        kept = self.session.kept.get(variant, {})
        if self.keep is not None and self.keep not in kept:
            kept = {**kept, self.keep: None}  # a call that takes the object it keeps gets None the first time
        if self.texts:
            kept = {**kept, **{name: json.loads(text) for name, text in self.texts.items()}}  # a copy for each variant
        if self.own:
            kept = {**kept, **{name: rows[slot] for name, rows in self.own.items()}}
        kwargs = {name: resolve(name, value, kept) for name, value in self.kwargs if value is not None or name in kept}
        if self.params:
            kwargs["params"] = self.session.params(variant)
        if self.rng:
            kwargs["rng"] = generator(self.session.seed)
        if self.model:
            kwargs["model"] = Model(self.session.channel, variant)
        value: Any = None
        first = None
        if self.cases is not None:
            value, first = cases.play(self.fn, self.cases, self.returns[0][2][1], kwargs)
        else:
            given = [resolve(name, value, kept) for name, value in self.args]
            if self.items is not None:
                value = [self.fn(*given, *item, **kwargs) for item in json.loads(self.items)]
            else:
                value = self.fn(*given, **kwargs)
        if self.keep is not None:
            value, state = self.parted(value) if self.returns else (None, value)
            self.session.kept.setdefault(variant, {})[self.keep] = state
        if self.returns:
            self.store(value, slot)
        return explain(first)[1] if first is not None else b""

    def play_batched(self, variants: list[int]) -> None:
        """Runs the batched form of the call once for all variants, and writes their answers. What is kept is a list,
        one object per variant, so that batched and plain calls may follow each other."""
        fn = getattr(self.session.solution, self.name + BATCHED)
        accepts, n = accepted(fn), len(variants)
        kept: dict[str, Any] = {name: json.loads(text) for name, text in self.texts.items()}
        kept |= {name: rows.view() for name, rows in self.own.items()}
        for name in {*(name for name, _ in (*self.args, *self.kwargs)), *([self.keep] if self.keep else [])}:
            if name not in kept and (name == self.keep or name in self.session.kept.get(variants[0], {})):
                kept[name] = [self.session.kept.get(variant, {}).get(name) for variant in variants]
        named = [(name, value) for name, value in self.named if accepts is None or name in accepts]
        kwargs = {name: resolve(name, value, kept) for name, value in named if value is not None or name in kept}
        if accepts is None or "params" in accepts:
            kwargs["params"] = self.session.columns(variants)
        if accepts is None or "new_rng" in accepts:
            kwargs["new_rng"] = functools.partial(generator, self.session.seed)
        given = [resolve(name, value, kept) for name, value in self.args]
        if self.items is not None:
            value: Any = np.stack([np.asarray(fn(*given, *item, **kwargs)) for item in json.loads(self.items)], axis=1)
        else:
            value = fn(*given, **kwargs)
        if self.keep is not None:
            value, states = self.parted(value) if self.returns else (None, value)
            if not isinstance(states, tuple | list) or len(states) != n:
                raise Refusal(f"{self.name}{BATCHED} returned {said(states)} to keep, expected a list of {n}")
            for variant, state in zip(variants, states, strict=True):
                self.session.kept.setdefault(variant, {})[self.keep] = state
        if self.returns:
            self.store(value, slice(None), (n,))

    def parted(self, value: Any) -> tuple[Any, Any]:
        """(answers to send, state to keep) of a function that returns its answers followed by its next state."""
        n = len(self.returns)
        if not isinstance(value, tuple | list) or len(value) != n + 1:
            names = ", ".join(name for name, *_ in self.returns)
            raise Refusal(f"{self.name} returned {said(value)}, expected a tuple of {n + 1}: {names}, {self.keep}")
        return (value[0] if n == 1 else tuple(value[:n])), value[n]

    def store(self, value: Any, slot: int | slice, leading: tuple[int, ...] = ()) -> None:
        """Checks answers and writes them to their columns. leading: axes before those that the schema declares."""
        wanted = self.returns
        if len(wanted) == 1:
            value = (value,)
        elif not isinstance(value, tuple | list) or len(value) != len(wanted):
            names = ", ".join(name for name, *_ in wanted)
            raise Refusal(f"{self.name} returned {type(value).__name__}, expected a tuple of {len(wanted)}: {names}")
        for one, (name, dtype, shape, column) in zip(value, wanted, strict=True):
            column[slot] = checked(one, dtype, leading + shape, f"{self.name} returned {name}")


def column(levels: list[Any]) -> np.ndarray[Any, Any]:
    """(m,) the levels of one parameter as an array that can be indexed: numbers of one kind, or objects."""
    kinds = {type(level) for level in levels}
    if kinds <= {int, float} or kinds == {bool}:
        return np.array(levels)
    found = np.empty(len(levels), object)
    found[:] = [json.loads(json.dumps(level)) for level in levels]
    return found


def said(value: Any) -> str:
    """Describes a value in a message: type and length of a tuple or list, otherwise the type."""
    name = type(value).__name__
    return f"a {name} of {len(value)}" if type(value) in (tuple, list) else name


def resolve(name: str, value: Any, kept: dict[str, Any]) -> Any:
    """The kept object, or a fresh view of the array, so that setting .shape does not change other variants' arrays."""
    return kept[name] if name in kept else value.view()


def checked(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], what: str) -> np.ndarray[Any, Any]:
    """The value as an array of this shape that fits this dtype. Raises Refusal with what came and what was expected."""
    try:
        a = np.asarray(value)
    except (ValueError, TypeError) as e:
        raise Refusal(f"{what} as {type(value).__name__}, which is not an array: {e}") from None
    if a.shape != shape:
        raise Refusal(f"{what} with shape {a.shape}, expected {shape}")
    if a.dtype == dtype or a.dtype.kind == "b":
        return a
    if a.dtype.kind in "iu" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if a.size and (a.min() < bounds.min or a.max() > bounds.max):
            raise Refusal(f"{what} with values outside {dtype.name}")
        return a
    if a.dtype.kind in "iuf" and dtype.kind == "f":
        return a
    raise Refusal(f"{what} with dtype {a.dtype}, expected {dtype.name}")


def accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """Names that this function takes by keyword; None: any name."""
    code = getattr(fn, "__code__", None)
    if code is None or hasattr(fn, "__wrapped__"):  # built-ins, partials, decorated functions: slower, same result
        import inspect

        try:
            parameters = inspect.signature(fn).parameters.values()
        except (ValueError, TypeError):
            return frozenset()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return None
        return frozenset(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
    if code.co_flags & 0x08:  # CO_VARKEYWORDS
        return None
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    return frozenset(names)


def explain(e: BaseException) -> tuple[int, bytes]:
    """Frame kind and bounded text of an exception: class, message, innermost line in the candidate's own files."""
    if isinstance(e, Refusal):
        return INVALID, str(e).encode("utf-8", "replace")[:TEXT_MAX]
    kind = MEMORY if isinstance(e, MemoryError) else CRASH
    where, tb = "", e.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if name.startswith(Finder.prefix):
            where = f" ({name[len(Finder.prefix) :]} line {tb.tb_lineno})"
        tb = tb.tb_next
    text = type(e).__name__
    with contextlib.suppress(BaseException):  # a hostile __str__
        text = f"{text}: {str(e)[:TEXT_MAX]}"
    if "read-only" in text:
        text += "; input arrays are read-only, copy first (x = x.copy())"
    room = TEXT_MAX - len(where.encode("utf-8", "replace"))
    return kind, text.encode("utf-8", "replace")[: max(room, 0)] + where.encode("utf-8", "replace")[:TEXT_MAX]


def frame(returns: list[tuple[str, str, list[int]]]) -> np.dtype[Any]:
    """The layout of one frame; the scorer builds the same one."""
    head: list[Any] = [("#nonce", "<u8"), ("#variant", "<u4"), ("#kind", "<u4")]
    return np.dtype(head + [(name, "<" + dtype.lstrip("<"), tuple(shape)) for name, dtype, shape in returns])


def table(memory: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a public memory: u8 length of the JSON table [[name, dtype, shape, offset]], the table, the data."""
    length = int.from_bytes(memory[:8], "little")
    return {name: view(memory, dtype, shape, start) for name, dtype, shape, start in json.loads(memory[8 : 8 + length])}


def view(data: Any, dtype: str, shape: list[int], start: int) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        empty = np.empty(shape, kind)
        empty.flags.writeable = False
        return empty
    return np.frombuffer(data, kind, count, start).reshape(shape)


class Seed(ISpawnableSeedSequence):
    """A SeedSequence that computes its PCG64 state once: `default_rng(seed)` at a fifth of the cost, same numbers."""

    def __init__(self, seed: int) -> None:
        self.entropy = seed
        self._state: Any = None  # computed when first needed: most candidates use no rng

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        if n_words != 4 or dtype is not np.uint64:
            return np.random.SeedSequence(self.entropy).generate_state(n_words, dtype)
        if self._state is None:
            self._state = np.random.SeedSequence(self.entropy).generate_state(4, np.uint64)
        return self._state

    def spawn(self, n_children: int) -> list[Any]:
        return list(np.random.SeedSequence(self.entropy).spawn(n_children))


def generator(seed: Seed) -> np.random.Generator:
    """The same generator as default_rng(seed), including spawned children."""
    return np.random.Generator(np.random.PCG64(seed))  # type: ignore[arg-type]  # stubs know SeedSequence only


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a candidate's files from memory. `a/b.py` is module a.b; a folder is a package even without
    __init__.py."""

    prefix = "candidate/"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def load(self, name: str) -> types.ModuleType:
        """Does what `import name` does, but touches fewer memory pages, each of which costs a fresh child time."""
        module = sys.modules[name] = types.ModuleType(name)
        module.__spec__ = self.find_spec(name)
        module.__loader__ = self
        self.exec_module(module)
        return module

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        stem = name.replace(".", "/")
        package = stem + "/__init__.py"
        if stem + ".py" in self.files:
            return importlib.machinery.ModuleSpec(name, self, origin=stem + ".py")
        if package in self.files or any(f.startswith(stem + "/") for f in self.files):
            return importlib.machinery.ModuleSpec(name, self, origin=package, is_package=True)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        origin = module.__spec__.origin if module.__spec__ else None
        assert origin is not None
        module.__file__ = self.prefix + origin
        source = self.files.get(origin, b"")
        text_of(source)
        exec(compile(source, self.prefix + origin, "exec", dont_inherit=True), module.__dict__)

    def get_data(self, path: str) -> bytes:
        """Other files of the candidate, for pkgutil.get_data."""
        return self.files[path.removeprefix(self.prefix)]


def text_of(source: bytes) -> None:
    """Raises SyntaxError for a file that is not valid in its encoding: compile() accepts that in comments, python
    itself does not."""
    try:
        source.decode()
    except UnicodeDecodeError as e:
        import io
        import tokenize

        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        if encoding.startswith("utf-8"):
            raise SyntaxError(f"(unicode error) {e}") from None


def warm_up() -> None:
    """Runs the code that a child will run, so that its pages and caches already exist in the zygote."""
    source = b"import math\nimport numpy as np\ndef f(x, *, params, rng):\n    return [float(np.sum(x))]\n"
    module = Finder({"warm.py": source}).load("warm")
    del sys.modules["warm"]
    accepted(module.f)
    generator(Seed(1)).random()
    frames = np.zeros(2, frame([("y", "f8", [1])]))
    frames["y"][0] = checked([1.0], np.dtype("f8"), (1,), "y")
    json.loads(json.dumps({"a": [1, 2.0, None, "b"]}))
