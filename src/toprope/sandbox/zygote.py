"""The scorer's end of a zygote: what it may read, how it is started, how a child is asked for and ended."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from toprope.errors import WorkerDied
from toprope.sandbox.kernel import architecture, landlock_abi
from toprope.types import Limits

HERE = Path(__file__).parent
NOBODY = 65534
PROFILES = {
    "numpy": (("numpy",), ("numpy.random", "numpy.linalg", "numpy.fft", "numpy.polynomial", "numpy.lib.stride_tricks"))
}
# Modules honest candidates import, loaded once so that no child has to read them.
STDLIB = ("math", "itertools", "functools", "collections", "dataclasses", "typing", "heapq", "bisect", "random",
          "statistics", "operator", "string", "re", "copy", "enum", "fractions", "decimal", "textwrap", "types")  # fmt: skip
_ENDED = struct.Struct("<idddd")


class Ended(NamedTuple):
    """How a child ended: wait status, CPU seconds, peak MiB, wall seconds."""

    status: int
    cpu_s: float
    peak_mb: float
    wall_s: float


class Readable(NamedTuple):
    """What a candidate may read: single files, directories with everything below, where imports come from."""

    files: list[str]
    directories: list[str]
    import_from: list[str]


@functools.cache
def readable(profile: str) -> Readable:
    """Standard library without its site-packages, shared libraries, and the profile's distributions by name."""
    packages, _ = PROFILES[profile]
    files: list[str] = ["/dev/null", "/dev/urandom"]
    directories: list[str] = []
    for base in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        for entry in os.scandir(base):
            if entry.name not in ("site-packages", "dist-packages", "__pycache__"):
                (directories if entry.is_dir() else files).append(entry.path)
        cached = Path(base, "__pycache__")
        directories += [str(cached)] if cached.is_dir() else []
    libraries = [f"/usr/lib/{architecture()}-linux-gnu", f"/lib/{architecture()}-linux-gnu", "/usr/lib64", "/lib64"]
    libraries += [p for p in (sysconfig.get_config_var("LIBDIR"),) if p and not Path(p, "python3").exists()]
    import_from: list[str] = []
    for name in packages:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent
        import_from.append(str(home.parent))
        directories += [str(p) for p in (home, home.with_name(f"{name}.libs")) if p.is_dir()]
    files += [p for p in ("/etc/ld.so.cache", "/etc/localtime") if os.path.exists(p)]
    own = [p for p in libraries if os.path.isdir(p) and not _contains_packages(p)]
    return Readable(sorted(set(files)), sorted({*directories, *own}), import_from)


def _contains_packages(directory: str) -> bool:
    """A library directory that is also a Python prefix's lib would open site-packages."""
    return any(Path(directory).glob("python3*/site-packages"))


def identity() -> int:
    """The uid a root zygote drops to; 0 where only root can reach the interpreter, and then it keeps no capability."""
    for path in (sysconfig.get_path("stdlib"), *readable("numpy").import_from):
        for parent in [Path(path).resolve(), *Path(path).resolve().parents]:
            if not parent.stat().st_mode & 0o001:
                return 0
    return NOBODY


class Zygote:
    """One exec'ed harness; forks a child per request, one at a time. Raises WorkerDied when it is gone."""

    def __init__(self, limits: Limits, profile: str, tier: str, off: frozenset[str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shared = os.memfd_create("progress", os.MFD_CLOEXEC)
        os.ftruncate(shared, 4096)
        self.progress = mmap.mmap(shared, 4096)
        filters = [(HERE / "filters" / f"{architecture()}-stage{n}.bpf").read_bytes() for n in (1, 2)]
        may_read = readable(profile)
        uid = identity() if os.geteuid() == 0 else os.geteuid()
        config = {
            "control": theirs.fileno(),
            "progress": shared,
            "parent": os.getpid(),
            "uid": uid if os.geteuid() == 0 else 0,
            "abi": landlock_abi(),
            "files": may_read.files,
            "directories": may_read.directories,
            "import_from": may_read.import_from,
            "preload": [*STDLIB, *PROFILES[profile][1]],
            "memory_mb": limits.memory_mb,
            "stage1": filters[0].hex(),
            "stage2": filters[1].hex(),
            "off": sorted({"landlock", "seccomp", "rlimits", "fds", "identity"} if tier == "none" else off),
        }
        self.process = _start(config, [theirs.fileno(), shared])
        theirs.close()
        os.close(shared)
        self.protection = _record(tier, uid, filters, limits, off)
        if self._read(1) != b"R":
            raise WorkerDied("the sandbox's zygote did not start; `toprope doctor` says why")

    def spawn(self, cpu_s: int) -> tuple[socket.socket, int]:
        """A new child: our end of its socket, and a pidfd to kill it by."""
        ours, theirs = socket.socketpair()
        self.progress[:8] = bytes(8)
        with theirs:
            try:
                socket.send_fds(self._control, [b"J" + struct.pack("<Q", cpu_s)], [theirs.fileno()])
                message, fds, _, _ = socket.recv_fds(self._control, 16, 1)
            except OSError as e:
                raise WorkerDied("the sandbox's zygote ended") from e
        if message != b"P":
            ours.close()
            raise WorkerDied("the sandbox's zygote ended")
        return ours, fds[0]

    def bare_fork(self) -> Ended:
        """Fork and exit at once: the yardstick for what a child costs besides."""
        self._control.send(b"F")
        return self.ended()

    def ended(self) -> Ended:
        """Waits for the child's end."""
        status, user, system, peak, wall = _ENDED.unpack(self._read(1 + _ENDED.size)[1:])
        return Ended(status, user + system, peak / 1024, wall)

    def _read(self, size: int) -> bytes:
        try:
            data = self._control.recv(64)
        except OSError as e:
            raise WorkerDied("the sandbox's zygote ended") from e
        if len(data) != size:
            raise WorkerDied("the sandbox's zygote ended")
        return data

    def close(self) -> None:
        self._control.close()
        self.process.kill()
        self.process.wait()


def kill(pidfd: int) -> None:
    """Ends the child for certain; by pidfd, so never somebody else who got its number."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _start(config: dict[str, Any], fds: list[int]) -> subprocess.Popen[bytes]:
    """The harness travels as an open file, so nothing of toprope need be readable inside."""
    source, settings = (
        _memory("harness", (HERE / "harness.py").read_bytes()),
        _memory("config", json.dumps(config).encode()),
    )
    interpreter = os.path.realpath(sys.executable)
    boot = f"import sys;sys.argv=['',{settings!r}];exec(compile(open({source},'rb').read(),'<harness>','exec'))"
    env = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"}
    env |= {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_TRIM_THRESHOLD_": "536870912",
        "MALLOC_MMAP_THRESHOLD_": "268435456",
    }
    try:
        return subprocess.Popen(
            [interpreter, "-s", "-S", "-P", "-B", "-c", boot],
            pass_fds=[*fds, source, settings],
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("TOPROPE_SANDBOX_DEBUG") else subprocess.DEVNULL,
        )
    finally:
        os.close(source)
        os.close(settings)


def _memory(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _record(tier: str, uid: int, filters: list[bytes], limits: Limits, off: frozenset[str]) -> dict[str, Any]:
    """What is stored with every result, so that a reader can tell what it was worth."""
    if tier == "none":
        return {"tier": "none", "unprotected": True}
    kept = "uid 0 without capabilities" if uid == 0 else f"uid {uid}"
    return {
        "tier": tier,
        "landlock_abi": landlock_abi(),
        "seccomp": "/".join(hashlib.sha256(f).hexdigest()[:12] for f in filters),
        "identity": kept,
        "network": "denied",
        "scratch": "none",
        "memory_mb": limits.memory_mb,
        **({"off": sorted(off)} if off else {}),
    }
