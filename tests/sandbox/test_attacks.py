# ruff: noqa: E501 (one attack, one line)
"""Programs that try to get out, get at the referee, or get a score they did not earn. Each ends as its outcome."""

from __future__ import annotations

import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import assault, box, play

import toprope
from toprope.types import Outcome

CRASH, VIOLATION, INVALID = Outcome.CRASH, Outcome.VIOLATION, Outcome.INVALID
TIMEOUT, MEMORY, OUTPUT = Outcome.TIMEOUT, Outcome.MEMORY, Outcome.OUTPUT
X86 = platform.machine() == "x86_64"

# name: (program, expected outcome, layers that must be off for it to succeed; None: not shown)
ATTACKS: dict[str, tuple[str, Outcome, str | None]] = {
    "file-outside": ("ensure(open($canary).read() == 'gold'); return SUCCESS", CRASH, "landlock"),
    "toprope-source": ("ensure(open($package).read()); return SUCCESS", CRASH, "landlock"),
    "toprope-import": ("import toprope.sandbox.box; return SUCCESS", CRASH, None),
    "list-directory": ("ensure(os.listdir($folder)); return SUCCESS", CRASH, "landlock"),
    "site-packages": ("ensure(os.listdir(os.path.dirname(os.path.dirname(np.__file__)))); return SUCCESS", CRASH, "landlock"),
    "proc-self": ("ensure(os.listdir('/proc/self/fd')); return SUCCESS", CRASH, "landlock"),
    "proc-environ": ("ensure(open('/proc/%d/environ' % $scorer).read()); return SUCCESS", CRASH, "landlock identity"),
    "proc-memory": ("ensure(open('/proc/%d/mem' % os.getppid(), 'rb')); return SUCCESS", CRASH, "landlock identity"),
    "proc-descriptors": ("ensure(os.listdir('/proc/%d/fd' % $scorer)); return SUCCESS", CRASH, "landlock identity"),
    "write-file": ("open($scratch, 'w').write('x'); return SUCCESS", CRASH, "landlock seccomp rlimits identity"),
    "make-directory": ("os.mkdir($scratch + '.d'); return SUCCESS", CRASH, "landlock seccomp identity"),
    "unlink": ("os.unlink($canary); return SUCCESS", CRASH, None),
    "symlink": ("os.symlink('/etc/passwd', $scratch + '.l'); return SUCCESS", VIOLATION, None),
    "ptrace": ("ensure(libc.ptrace(0x4206, os.getppid(), 0, 0) == 0); return SUCCESS", VIOLATION, "seccomp landlock identity"),
    "read-parent-memory": (
        """
        here = ctypes.create_string_buffer(8)
        class Iov(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
        there = Iov(id(None), 8)  # the zygote forked us, so its None lies where ours does
        ensure(libc.process_vm_readv(os.getppid(), ctypes.byref(Iov(ctypes.addressof(here), 8)), 1,
                                     ctypes.byref(there), 1, 0) == 8)
        return SUCCESS
        """,
        VIOLATION,
        "seccomp landlock identity",
    ),
    "internet": ("import socket; socket.socket(); return SUCCESS", VIOLATION, "seccomp"),
    "unix-socket": ("import socket; socket.socket(socket.AF_UNIX); return SUCCESS", VIOLATION, "seccomp"),
    "fork": (
        """
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return SUCCESS
        """,
        CRASH,
        "seccomp",
    ),
    "subprocess": ("import subprocess; subprocess.run(['/bin/true']); return SUCCESS", CRASH, "seccomp landlock"),
    "clone3": ("ensure(libc.syscall(435, bytes(88), 88) >= 0); return SUCCESS", CRASH, None),
    "exec": ("os.execv('/bin/sh', ['sh', '-c', 'exit 0'])", VIOLATION, None),
    "memfd-exec": ("os.memfd_create('payload'); return SUCCESS", VIOLATION, "seccomp"),
    "user-namespace": ("ensure(libc.unshare(0x10000000) == 0); return SUCCESS", VIOLATION, None),
    "io-uring": ("libc.syscall(425, 8, bytes(120)); return SUCCESS", VIOLATION, "seccomp"),
    "shared-memory": ("ensure(libc.shmget(0, 4096, 0o1600) >= 0); return SUCCESS", VIOLATION, "seccomp"),
    "lock-channel": ("import fcntl; fcntl.flock(os.open(np.__file__, os.O_RDONLY), 2); return SUCCESS", CRASH, "seccomp"),
    "kill-parent": ("os.kill(os.getppid(), 0); return SUCCESS", VIOLATION, "seccomp"),
    "kill-everyone": ("os.kill(-1, signal.SIGKILL); return SUCCESS", VIOLATION, None),
    "limits-own": (
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); return SUCCESS", CRASH, "seccomp"),
    "limits-parent": (
        "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE); return SUCCESS",
        CRASH,
        "seccomp identity landlock",
    ),
    "affinity": ("os.sched_setaffinity(0, {0}); return SUCCESS", CRASH, "seccomp"),
    "inherited-descriptor": ("ensure(os.pread($planted, 4, 0) == b'gold'); return SUCCESS", CRASH, "fds"),
    "write-input": ("x[0] = 9.0; return SUCCESS", CRASH, None),
    "unlock-input": ("x.flags.writeable = True; x[0] = 9.0; return SUCCESS", CRASH, None),
    "poke-input": ("ctypes.memset(x.ctypes.data, 1, 8); return SUCCESS", CRASH, None),
    "mprotect-input": (
        "ensure(libc.mprotect(ctypes.c_void_p(x.ctypes.data & ~4095), 4096, 3) == 0); return SUCCESS", CRASH, None),
    "forged-message": ("os.write(3, b'D' + bytes(40)); return SUCCESS", VIOLATION, None),
    "forged-frames": (
        """
        import struct
        session = next(o for o in gc.get_objects() if type(o).__name__ == "Session")
        for slot in (0, 1, 2):
            session.slots[64 + 24 * slot : 88 + 24 * slot] = struct.pack("<QIId", 0, slot, 1, SUCCESS)
        session.counter[0] = 3
        os._exit(0)
        """,
        VIOLATION,
        "nonce",
    ),
    "pumped-counter": (
        """
        session = next(o for o in gc.get_objects() if type(o).__name__ == "Session")
        while True:  # each step would grant another limit's worth of time
            session.counter[0] += 1
            time.sleep(0.02)
        """,
        VIOLATION,
        None,
    ),
    "late-message": (
        """
        def late():
            time.sleep(0.05)
            os.write(3, b"late")
        threading.Thread(target=late).start()
        time.sleep(0.5)
        return SUCCESS
        """,
        VIOLATION,
        None,
    ),
    "not-a-number": ("return float('nan')", INVALID, "schema"),
    "infinite": ("return float('inf')", INVALID, "schema"),
    "out-of-range": ("return 1e300", INVALID, "schema"),
    "wrong-shape": ("return [1.0, 2.0]", INVALID, None),
    "text": ("return 'best'", INVALID, None),
    "array-trick": (
        """
        class Trick:
            def __array__(self, *a, **k):
                raise SystemExit(0)
            def __eq__(self, other):
                return True
        return Trick()
        """,
        CRASH,
        None,
    ),
    "huge-answer": ("return np.broadcast_to(1.0, (1 << 40,))", MEMORY, None),
    "flood": (
        """
        for _ in range(1 << 10):
            os.write(3, b"x" * (1 << 20))
        return SUCCESS
        """,
        OUTPUT,
        None,
    ),
    "memory-bomb": ("np.empty(1 << 29, np.uint8); return SUCCESS", MEMORY, "rlimits"),
    "hang": ("while True: pass", TIMEOUT, None),
    "sleep": ("time.sleep(2.0); return SUCCESS", TIMEOUT, "kill"),
    "hang-deaf": (
        """
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            pass
        """,
        TIMEOUT,
        None,
    ),
    "swallow": (
        """
        while True:
            try:
                while True:
                    time.sleep(10)
            except BaseException:
                pass
        """,
        TIMEOUT,
        None,
    ),
    "hang-up-and-run-on": (
        """
        os.close(3)
        while True:
            pass
        """,
        CRASH,
        None,
    ),
    "early-exit": ("os._exit(0)", CRASH, None),
    "system-exit": ("sys.exit(0)", CRASH, None),
    "segfault": ("ctypes.string_at(0); return SUCCESS", CRASH, None),
    "abort": ("os.abort()", CRASH, None),
    "recursion": ("return attack(x)", CRASH, None),
    "x32-call": ("ensure(libc.syscall(0x40000000 + 39) >= 0); return SUCCESS", VIOLATION, None),
    "int80-call": (
        """
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(bytes.fromhex("53b814000000cd805bc3"))  # push rbx; eax = getpid of the 32-bit table; int 0x80
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        ensure(ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0)
        return SUCCESS
        """,
        VIOLATION,
        None,
    ),
}  # fmt: skip
ONLY_X86 = {"x32-call", "int80-call"}
SHOWN = {name: layers for name, (_, _, layers) in ATTACKS.items() if layers}
EVERY_LAYER = {"landlock", "seccomp", "rlimits", "fds", "nonce", "schema", "kill", "identity"}


@pytest.fixture(scope="module")
def planted() -> Iterator[dict[str, object]]:
    """Things worth stealing: a file, a folder, an open descriptor. World-readable, so that only layers protect them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    canary = folder / "labels"
    canary.write_text("gold")
    fd = os.open(canary, os.O_RDONLY)
    high = 40
    os.dup2(fd, high, inheritable=True)
    os.close(fd)
    yield {
        "canary": str(canary),
        "folder": str(folder),
        "scratch": str(folder / "scratch"),
        "package": str(Path(toprope.__file__)),
        "scorer": os.getpid(),
        "planted": high,
    }
    os.close(high)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ATTACKS)
def test_ends_as_its_outcome(name: str, planted: dict[str, object]) -> None:
    """An attack ends as the outcome defined for it, with nothing gained, and its neighbours keep theirs."""
    if name in ONLY_X86 and not X86:
        pytest.skip("an x86 matter")
    body, expected, _ = ATTACKS[name]
    outcome, value, result = assault(body, **planted)
    assert outcome is expected, result
    assert value == 0.0
    if expected is VIOLATION:
        assert result.incidents[1][0].evidence.endswith("in round 0 (f)")


@pytest.mark.parametrize("name", SHOWN)
def test_succeeds_without_its_layer(name: str, planted: dict[str, object]) -> None:
    """The same attack gets what it came for once its layer is off, so it is the layer that stops it."""
    outcome, value, result = assault(ATTACKS[name][0], frozenset(SHOWN[name].split()), **planted)
    assert outcome is Outcome.OK, result
    assert value in (666.0, math.inf, 1e300) or math.isnan(value)


def test_every_layer_is_shown_to_matter() -> None:
    """For every layer an attack succeeds when that layer alone is off; the identity only backs Landlock."""
    alone = {layers for layers in SHOWN.values() if " " not in layers}
    assert alone == EVERY_LAYER - {"identity"}


def test_late_violation_counts_against_a_block_of_one() -> None:
    """A message sent by a thread after the answer makes a single candidate a violation."""
    source = """
import os, threading, time
import numpy as np
def late():
    while True:
        os.write(3, b"late" * 10)
        time.sleep(0.0005)
def f(x):
    threading.Thread(target=late, daemon=True).start()
    time.sleep(0.001)
    return np.zeros(1)
"""
    result, _, _ = play(source, 1)
    assert result.outcomes == [VIOLATION]


def test_nothing_stays_for_the_next_candidate() -> None:
    """Patching NumPy, builtins and sys.modules changes nothing for whoever comes next."""
    vandal = """
import builtins, sys
import numpy as np
np.ones = np.zeros
builtins.sum = lambda *a: 9
sys.modules["json"] = None
def f(x):
    return np.ones(1)
"""
    honest = "import json\nimport numpy as np\ndef f(x):\n    return np.ones(1) * sum([1, 2])\n"
    assert play(vandal)[1][0]["y"][0, 0] == 0.0
    assert play(honest)[1][0]["y"][0, 0] == 3.0


def test_descriptors_of_a_child() -> None:
    """A child holds /dev/null three times, its own socket, and the memories it has mapped: no path to anyone else."""
    source = """
import os
import numpy as np
def f(x):
    held = []
    for fd in range(64):
        try:
            s = os.fstat(fd)
        except OSError:
            continue
        held.append(s.st_size if s.st_nlink == 0 else -1)  # a memfd has no link
    return np.array([held[:3] == [-1, -1, -1] and len(held)])
"""
    assert play(source)[1][0]["y"][0, 0] <= 6  # 0, 1, 2, socket, slots, public


def test_error_text_stays_inside_without_detail() -> None:
    """On hidden draws not a word of an exception comes out, only that there was one."""
    source = "def f(x):\n    raise ValueError('secret ' + str(x[1]))\n"
    result, _, _ = play(source, detail=False)
    assert result.outcomes == [CRASH]
    assert result.messages == {}


def test_protection_record_says_none() -> None:
    """The tier without layers says so in the record that goes with every result."""
    record = box(tier="none").protection
    assert (record["tier"], record["protected"]) == ("none", False)
    assert box().protection["protected"] is True
