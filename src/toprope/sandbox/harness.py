"""What runs inside: first the zygote, then one child per block. Self-contained (stdlib and numpy), handed over by fd.

The zygote imports numpy, gives up every right it has (Landlock, seccomp stage 1, identity), and then only forks. A child
takes its own socket, closes everything else, limits itself (rlimits, seccomp stage 2), loads one author's files from
memory and answers rounds, one frame per variant. The zygote never sees a candidate's code or a candidate's answer.

It does not protect a candidate from itself: a child belongs to its author, and everything it writes is a claim that the
scorer checks. Variants of one block share a process, so they are one author's and a promoted one is re-run alone.
"""

import ctypes
import gc
import importlib.abc
import importlib.util
import inspect
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
import traceback

# Every frame: nonce of the round, variant, kind, payload length. Mirrored in frames.py.
HEADER = struct.Struct("<8sIBI")
OK, CRASH, MEMORY, INVALID, HELLO = range(5)
FLUSH_BYTES, FLUSH_S = 1 << 16, 0.05
CODE = struct.Struct("<I")
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


# ---------------------------------------------------------------- layers, applied once by the zygote

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 38, 47
READ_FILE, READ_DIR = 1 << 2, 1 << 3  # landlock(7): the only rights given out; running files needs none of ours


def landlock(abi, files, directories):
    """Denies every file system, TCP and (ABI 6) signal right but reading these. linux/landlock.h, landlock(7)."""
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    attr = struct.pack("<QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = check(libc.syscall(444, attr, ctypes.c_size_t(len(attr)), 0), "landlock_create_ruleset")
    for paths, rights in ((files, READ_FILE), (directories, READ_FILE | READ_DIR)):
        for path in paths:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            check(libc.syscall(445, ruleset, 1, struct.pack("<Qi", rights, fd), 0), f"landlock_add_rule {path}")
            os.close(fd)
    check(libc.syscall(446, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def seccomp(code):
    """Loads classic BPF bytes; filters add up, no later one can widen an earlier one. seccomp(2)."""

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    program = Program(len(code) // 8, code)
    check(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0), "seccomp")


def give_up_identity(uid):
    """To an unprivileged uid, or, where the interpreter is readable by root alone, to root without any capability."""
    if os.geteuid() == 0:
        last = int(open("/proc/sys/kernel/cap_last_cap").read())
        libc.prctl(PR_SET_SECUREBITS, 0b101111, 0, 0, 0)  # noroot, no_setuid_fixup, keep_caps off, all locked
        libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
        for capability in range(last + 1):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        header, data = struct.pack("<Ii", 0x20080522, 0), bytes(24)
        check(libc.capset(header, data), "capset")


def zygote(config_fd):
    """Until the control socket closes: fork a child for every descriptor that comes, report how it ended."""
    with open(config_fd, "rb") as f:
        config = json.load(f)
    control = socket.socket(fileno=config["control"])
    shared = mmap.mmap(config["progress"], 4096)
    os.close(config["progress"])
    off = set(config["off"])
    for path in reversed(config["import_from"]):
        sys.path.insert(0, path)
    import numpy as np

    warm_up(np, config["preload"])
    del sys.path[: len(config["import_from"])]
    stage1, stage2 = bytes.fromhex(config["stage1"]), bytes.fromhex(config["stage2"])
    pages = int(open("/proc/self/statm").read().split()[0])
    space = pages * resource.getpagesize() + (config["memory_mb"] + 32) * 2**20
    if "identity" not in off:
        give_up_identity(config["uid"])
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the uid: changing it clears the signal
    if os.getppid() != config["parent"]:
        os._exit(0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if "landlock" not in off:
        landlock(config["abi"], config["files"], config["directories"])
    if "seccomp" not in off:
        seccomp(stage1)
    gc.collect()
    gc.freeze()
    limits = rlimits(config, space) if "rlimits" not in off else []
    sealed = None if "seccomp" in off else stage2
    os.write(control.fileno(), b"R")  # not send(2): that is sendto, which is filtered
    while True:
        message, ancillary, _, _ = control.recvmsg(16, socket.CMSG_SPACE(4))
        if not message:
            os._exit(0)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            if message == b"F":
                os._exit(0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            (fd,) = struct.unpack("<i", ancillary[0][2])
            child(fd, struct.unpack("<Q", message[1:9])[0], limits, sealed, shared, np, "fds" in off)
        if message != b"F":
            os.close(struct.unpack("<i", ancillary[0][2])[0])
            pidfd = os.pidfd_open(pid)
            control.sendmsg([b"P"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("<i", pidfd))])
            os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        spent = (usage.ru_utime, usage.ru_stime, usage.ru_maxrss, time.monotonic() - started)
        os.write(control.fileno(), b"S" + struct.pack("<idddd", status, *spent))


def warm_up(np, preload):
    """Lazily loaded parts now, once, instead of in every child (numpy.random alone is 5x: research/sandbox.md 2.3)."""
    for name in preload:
        __import__(name)
    a = np.random.default_rng(0).standard_normal((32, 8))
    np.linalg.svd(a)
    np.linalg.lstsq(a, a[:, 0], rcond=None)
    np.linalg.eigh(a.T @ a)
    np.quantile(a, 0.5)
    np.unique(a.round(1), return_inverse=True)
    np.array2string(a)
    "".encode("idna" if False else "utf-8", "replace")


def rlimits(config, space):
    return [
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ]


# ---------------------------------------------------------------- the child


def child(fd, cpu_s, limits, stage2, shared, np, leak):
    """Never returns. Whatever the candidate does to this process, the scorer sees frames, or none."""
    os.dup2(fd, 3)
    if not leak:
        os.closerange(4, 1 << 20)
    for what, value in limits:
        resource.setrlimit(what, (value, value))
    if limits:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    if stage2 is not None:
        seccomp(stage2)
    gc.enable()
    try:
        Child(np, shared).serve()
    finally:
        os._exit(0)


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The candidate's files as modules, from memory; `linecache` finds their source for tracebacks."""

    def __init__(self, files):
        self.sources = {}
        for path, data in files.items():
            if path.endswith(".py"):
                name = path[:-3].replace("/", ".")
                package = name.endswith("__init__")
                self.sources[name.removesuffix(".__init__") if package else name] = (path, data, package)

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=self.sources[name][2])

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        path, data, _ = self.sources[module.__name__]
        module.__file__ = path
        exec(compile(data, path, "exec"), module.__dict__)


class Invalid(Exception):
    """An answer that is not what the schema says."""


class Child:
    """One author's variants. `out` collects frames; they leave at a size, after a time, and at the end of a round."""

    def __init__(self, np, shared):
        self.np, self.shared = np, shared
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)  # all named: asking is filtered
        self.out, self.flushed = bytearray(), 0.0
        self.case = {}

    def serve(self):
        while True:
            message, blobs, fds = self.receive()
            if message["do"] == "load":
                self.load(message, blobs)
            elif message["do"] == "case":
                self.open_case(message, fds[0])
            else:
                self.round(message, blobs)

    # -------------------------------------------------------- messages

    def receive(self):
        """(header, blobs, descriptors): a length, a JSON header that lists blob sizes, the blobs."""
        data, ancillary, _, _ = self.socket.recvmsg(4, socket.CMSG_SPACE(8))
        if not data:
            os._exit(0)
        fds = [fd for _, _, raw in ancillary for (fd,) in struct.iter_unpack("<i", raw)]
        header = json.loads(self.exactly(CODE.unpack(data + self.exactly(4 - len(data)))[0]))
        return header, [self.exactly(n) for n in header["blobs"]], fds

    def exactly(self, n):
        data = bytearray(n)
        view, got = memoryview(data), 0
        while got < n:
            r = os.readv(3, [view[got:]])
            if not r:
                os._exit(0)
            got += r
        return bytes(data)

    def frame(self, nonce, variant, kind, payload):
        self.out += HEADER.pack(nonce, variant, kind, len(payload))
        self.out += payload

    def flush(self):
        view = memoryview(bytes(self.out))
        while view:
            view = view[os.write(3, view) :]
        self.out.clear()
        self.flushed = time.monotonic()

    # -------------------------------------------------------- load

    def load(self, message, blobs):
        """Rows, tables and files arrive; the answer says which entry points exist, or why the files do not load."""
        rows = self.np.frombuffer(blobs[0], "u1").reshape(message["k"], -1).tolist()
        self.detail = message["detail"]
        names, tables = message["names"], message["levels"]
        self.params = lambda v: {n: t[c] for n, t, c in zip(names, tables, rows[v])}  # noqa: B905
        files = dict(zip(message["files"], blobs[1:]))  # noqa: B905
        nonce = bytes.fromhex(message["nonce"])
        sys.meta_path.insert(0, Loader(files))
        try:
            module = __import__("solution")
            self.functions = {n: getattr(module, n) for n in message["entries"] if callable(getattr(module, n, None))}
            self.accepts = {n: accepted(f) for n, f in self.functions.items()}
            self.frame(nonce, 0, HELLO, json.dumps(sorted(self.functions)).encode())
        except BaseException as e:
            self.frame(nonce, 0, *self.failure(e))
        self.flush()

    def failure(self, e):
        """(kind, text) of an exception: class, last line of the candidate's own code, message; class only if hidden."""
        kind = MEMORY if isinstance(e, MemoryError) else INVALID if isinstance(e, Invalid) else CRASH
        if not self.detail:
            return kind, b""
        if isinstance(e, Invalid):
            return kind, str(e).encode("utf-8", "replace")[:500]
        try:
            where = [f for f in traceback.extract_tb(e.__traceback__) if not f.filename.startswith("<harness")]
            at = f" ({where[-1].filename} line {where[-1].lineno})" if where else ""
            if isinstance(e, SyntaxError):
                at = f" ({e.filename} line {e.lineno})"
            text = f"{type(e).__name__}: {e}{at}"
            if isinstance(e, ValueError) and "read-only" in str(e):
                text += "; input arrays are read-only, copy them first"
        except BaseException:
            text = "an exception that could not be described"
        return kind, text.encode("utf-8", "replace")[:500]

    # -------------------------------------------------------- cases and rounds

    def open_case(self, message, fd):
        """Maps the draw's public part read-only; it is sealed, so no later mprotect can make it writable."""
        whole = mmap.mmap(fd, message["size"], mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(fd)
        self.seed = message["seed"]
        self.case = {
            name: self.np.frombuffer(whole, dtype, count, offset).reshape(shape)
            for name, dtype, shape, count, offset in message["table"]
        }
        self.kept = {}

    def round(self, message, blobs):
        nonce = bytes.fromhex(message["nonce"])
        arrays = dict(self.case)
        for (name, dtype, shape), blob in zip(message["arrays"], blobs):  # noqa: B905
            arrays[name] = self.np.frombuffer(blob, dtype).reshape(shape)
        plan = [self.planned(call, arrays) for call in message["calls"]]
        shared, out, clock = self.shared, self.out, time.monotonic
        self.flushed = clock()
        for v in message["variants"]:
            CODE.pack_into(shared, 0, v + 1)  # tells the scorer who is running, should this child have to be killed
            try:
                payload = self.answer(v, plan)
                out += HEADER.pack(nonce, v, OK, len(payload))
                out += payload
            except BaseException as e:
                self.frame(nonce, v, *self.failure(e))
            if len(out) > FLUSH_BYTES or clock() - self.flushed > FLUSH_S:
                self.flush()
        CODE.pack_into(shared, 0, 0)
        self.flush()

    def planned(self, call, arrays):
        fn = call["fn"]
        if fn not in self.functions:
            raise SystemExit
        names, everything = self.accepts[fn]
        constant = {k: arrays[k] for k in call["kwargs"] if k in arrays and (everything or k in names)}
        wants_params, wants_rng = everything or "params" in names, everything or "rng" in names
        args = [(a, arrays.get(a)) for a in call["args"]]
        simple = [value for _, value in args] if all(a in arrays for a, _ in args) else None
        returns = [(name, self.np.dtype(t), tuple(shape)) for name, t, shape in call["returns"]]
        return (fn, self.functions[fn], args, simple, constant, wants_params, wants_rng, returns, call["keep"])

    def answer(self, v, plan):
        payload = b""
        for fn, function, args, simple, constant, wants_params, wants_rng, returns, keep in plan:
            kwargs = dict(constant)
            if wants_params:
                kwargs["params"] = self.params(v)
            if wants_rng:
                kwargs["rng"] = self.np.random.default_rng(self.seed)
            if simple is None:
                positional = [self.kept[v, a] if (v, a) in self.kept else value for a, value in args]
            else:
                positional = simple
            result = function(*positional, **kwargs)
            if keep is not None:
                self.kept[v, keep] = result
            elif len(returns) == 1:
                payload += self.packed(fn, result, returns[0])
            elif returns:
                if not isinstance(result, tuple | list) or len(result) != len(returns):
                    wanted = ", ".join(name for name, _, _ in returns)
                    raise Invalid(
                        f"{fn} returned {type(result).__name__}, expected a tuple of {len(returns)}: {wanted}"
                    )
                for one, schema in zip(result, returns):  # noqa: B905
                    payload += self.packed(fn, one, schema)
        return payload

    def packed(self, fn, value, schema):
        name, dtype, shape = schema
        a = value if type(value) is self.np.ndarray else self.np.asarray(value)
        if a.shape != shape:
            raise Invalid(f"{fn} returned {name} with shape {a.shape}, expected {shape}")
        if a.dtype != dtype:
            if a.dtype.kind not in "biuf":
                raise Invalid(f"{fn} returned {name} with dtype {a.dtype}, expected numbers")
            a = a.astype(dtype)
        return a.tobytes()


def accepted(function):
    """(names of keyword arguments a function takes, whether it takes any)."""
    parameters = inspect.signature(function).parameters.values()
    names = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


if __name__ == "__main__":
    zygote(int(sys.argv[1]))
