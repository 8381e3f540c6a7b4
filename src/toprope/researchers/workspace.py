"""A researcher's room: one folder to work in, a shell, Python with numpy, and nothing else of the machine.

The slower profile beside the candidates' sandbox: several processes, any program of /usr, files that stay. bubblewrap
makes namespaces for it (mounts, processes, network, IPC, host name); no capabilities; as root also another user. What
it may see is /usr read-only, the interpreter, numpy, and its own folder. Not visible: toprope, its weights and vault,
homes, other rooms, the network. Not covered: kernel bugs, the clock, the load of the machine.

What a room may hold is watched, because neither root nor an ordinary user has a quota of the kernel's for a folder
without a set-up of the machine: a command is ended when its room holds too much or the disk has too little left, and
in a room that is full commands can remove and read, not make or write. A seccomp filter keeps space from being taken
faster than it is watched (`tools/make_seccomp.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from toprope import plugins, version
from toprope.errors import NoProtection, UsageError
from toprope.researchers import frozen
from toprope.sandbox import namespaces, walls

ROOM = "/workspace"  # where the folder lies inside
PACKAGES = "/opt/packages"  # where numpy lies inside
OUTPUT_MAX = 10 << 20  # bytes of each stream that are kept; what comes after is read and dropped
MEMORY_KB = 4 << 20  # ulimit -v
FILE_BLOCKS = 1 << 20  # ulimit -f, in blocks of 512 bytes (POSIX; dash, and bash as sh)
PROCESSES = 2048  # of the room's user at once; dash knows this limit by another letter than bash
TMP = 1 << 30  # bytes of /tmp, which is the machine's memory
LIMITS = (  # also of bubblewrap's own processes, which an ordinary user's room can write into; killed first for memory
    f'{{ echo 1000 >/proc/self/oom_score_adj; }} 2>&-; ulimit -c 0; ulimit -v {MEMORY_KB}; ulimit -f %d; exec "$@"'
)
MANY = f'ulimit -u {PROCESSES} 2>&- || ulimit -p {PROCESSES}; exec "$@"'  # inside, where others of the user's are not
ROOM_MAX = 2 << 30  # bytes that a room may hold; a hole counts as what it would be, a file or folder as 4 KiB at least
FREE_BYTES, FREE_FILES = 1 << 30, 10_000  # that rooms leave on the disk, for the ledger and everybody else
REMOVE = "until that has changed, nothing can be made or written here: remove what you do not need"
LOOK_S = 0.25  # between two looks at what a room holds, more where looking takes long
OF_PROC = ("filesystems", "version")  # what stays in a room's /proc beside processes
COVERED = 'mount -n -t tmpfs -o ro,size=4k none / && exec "$@"'  # as `sandbox/inside/layers.py` forbids user namespaces


class Ran(NamedTuple):
    """code: exit status, -1 where it was killed at the limit. cut: a stream was longer than OUTPUT_MAX. still_s: for so
    many seconds the room stood still meanwhile."""

    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    cut: bool
    still_s: float = 0.0


class Workspace:
    """One room. Calls from several threads wait for each other, so nothing in it changes while it is read."""

    def __init__(self, folder: Path) -> None:
        """folder: made if it is not there. Raises NoProtection where bubblewrap is missing or does not work."""
        self.folder = folder.resolve()
        self.folder.parent.mkdir(0o700, parents=True, exist_ok=True)  # what is setuid in a room is its owner
        self.folder.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        self._starting = threading.Lock()  # held while a command starts, and as long as the room stands still
        self._first: int | None = None  # number of the first process of the command at work
        self._still_since: float | None = None
        self._still_s = 0.0
        self._prefix = _command(self.folder)
        self._own(self.folder)
        self.folder.chmod(0o755)  # whatever its last owner left
        probe = self.run(["true"], timeout_s=20)
        if probe.code:
            said = probe.stderr.decode("utf-8", "replace").strip()[:200]
            raise NoProtection(
                f"a workspace does not start here ({said}); `toprope doctor` shows what bubblewrap lacks"
            )

    def run(self, argv: Sequence[str], timeout_s: float = 60.0, given: bytes = b"", cwd: str = ROOM,
            env: dict[str, str] | None = None, output_max: int = OUTPUT_MAX) -> Ran:  # fmt: skip
        """Runs a command to its end or its limit; everything it started ends with it. Raises UsageError for one that
        cannot be started: too long, or with a zero byte in it."""
        own = ["env", "--", *(f"{name}={value}" for name, value in env.items())] if env else []  # set by the stranger
        with self.lock, explained(argv[-1]), contextlib.ExitStack() as until_ended:
            full = self.full()
            limits = ["sh", "-c", LIMITS % (0 if full else FILE_BLOCKS), "sh"]
            command = [*self._prefix, "--chdir", cwd, "--", *_user(), "sh", "-c", MANY, "sh", *own, *argv]
            with self._starting:
                begun = _started(limits, command, _filter("full" if full else "room"))
                process, first, self._first = until_ended.enter_context(begun)
            streams = [_Reader(process.stdout, output_max), _Reader(process.stderr, output_max)]
            threading.Thread(target=_write, args=(process.stdin, given), daemon=True).start()
            timed_out, filled, still = False, "", self.still_s
            try:
                timed_out, filled = self._watched(process, timeout_s, not full)
            finally:
                with self._starting:  # numbers are not given to others while somebody may stop them
                    _end(process, first)
                    self._first = None
            out, err = (s.result() for s in streams)
            cut = any(s.cut for s in streams)
            if full or filled:
                err += f"\n[{'the command was ended: ' if filled else ''}{full or filled}]\n".encode()
            code = -1 if timed_out or filled else process.returncode
            return Ran(code, out, err, timed_out, cut, self.still_s - still)

    def _watched(self, process: subprocess.Popen[bytes], timeout_s: float, growing: bool) -> tuple[bool, str]:
        """Waits for the end of a command: did it meet its limit, and if it filled the room, what `full` says. The time
        that the room stood still is not the command's."""
        end, pause = time.monotonic() - self.still_s + timeout_s, LOOK_S if growing else timeout_s
        while (left := end + self.still_s - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(pause, left))
                return False, ""
            began = time.monotonic()
            if growing and (why := self.full()):
                return False, why
            pause = max(pause, 2 * (time.monotonic() - began))
        return True, ""

    @property
    def still_s(self) -> float:
        """Seconds that this room has stood still."""
        since = self._still_since
        return self._still_s + (time.monotonic() - since if since is not None else 0.0)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """No process of the room runs, and no command begins. One that cannot be stopped is ended."""
        with self._starting:
            first = self._first
            if first is not None and not frozen.stop(first):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)
            self._still_since = time.monotonic()
            try:
                yield
            finally:
                self._still_s, self._still_since = self.still_s, None
                if first is not None:
                    frozen.go_on(first)

    def full(self, more: int = 0) -> str:
        """Why nothing can be written here any more; empty where `more` bytes can."""
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < FREE_BYTES + more or (disk.f_files and disk.f_favail < FREE_FILES):
            return f"this machine's disk is nearly full; {REMOVE}"
        held = more
        look = ["find", str(self.folder), "-xdev", "-printf", "%s %b\\n"]
        with subprocess.Popen(
            look, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}
        ) as p:
            said = _Reader(p.stderr, OUTPUT_MAX)
            assert p.stdout is not None
            for line in p.stdout:
                held += max(4096, int(line.split()[0]), 512 * int(line.split()[1]))
                if held > ROOM_MAX:
                    p.kill()
                    return f"the room holds more than {ROOM_MAX >> 20} MiB; {REMOVE}"
        hidden = b"Permission denied" in said.result()
        return f"the room has folders that cannot be looked into: `chmod -R u+rwX .`; {REMOVE}" if hidden else ""

    def path(self, name: str) -> Path:
        """The file or folder of this name, on the host. Raises UsageError for a path outside, and for one through a
        link: how a link is followed is the kernel's affair, and no look at it from here is sure to end where it does.
        """
        inside = name.removeprefix(ROOM).lstrip("/") if name.startswith(ROOM) else name
        target = Path(os.path.normpath(self.folder / inside))
        with explained(name):
            if not target.is_relative_to(self.folder):
                raise UsageError(f"{name[:200]!r} lies outside the workspace; name a path below {ROOM}")
            for part in self._down_to(target):
                if part.is_symlink():
                    raise UsageError(f"{name[:200]!r}: {part.name!r} is a symbolic link; name the file itself")
        return target

    def write(self, name: str, data: bytes) -> None:
        """Raises UsageError for a path outside or through a link, one that is a folder, or a room that is full."""
        with self.lock, explained(name):
            if why := self.full(len(data)):
                raise UsageError(f"{name[:200]!r} is not written: {why}")
            target = self.path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # never into a pipe that was put there
            target.write_bytes(data)
            self._own(target)

    def read(self, name: str, most: int = OUTPUT_MAX) -> bytes:
        """Raises UsageError for a path outside or through a link, no plain file, or one that is too long."""
        with self.lock, explained(name):
            target = self.path(name)
            if not target.is_file():
                raise UsageError(f"{name[:200]!r} is no file in the workspace")
            if target.stat().st_size > most:
                raise UsageError(f"{name[:200]!r} holds {target.stat().st_size} bytes; at most {most} are read")
            return target.read_bytes()

    def _own(self, target: Path) -> None:
        """As root the room, and what is written in it from here, belongs to the stranger who works in it. The rest is
        not looked at: it may be a thousand folders deep."""
        if os.geteuid() == 0:
            for path in self._down_to(target):
                os.chown(path, walls.UID, walls.UID, follow_symlinks=False)

    def _down_to(self, target: Path) -> Iterator[Path]:
        """The room's folder and every part of the path below it."""
        return (path for path in (*reversed(target.parents), target) if path.is_relative_to(self.folder))


class _Reader(threading.Thread):
    """Reads a stream to its end, keeps the beginning."""

    def __init__(self, stream: object, most: int) -> None:
        super().__init__(daemon=True)
        self._stream, self._most, self._data, self.cut = stream, most, bytearray(), False
        self.start()

    def run(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            while part := self._stream.read1(1 << 16):  # type: ignore[attr-defined]
                self.cut = self.cut or len(self._data) + len(part) > self._most
                self._data += part[: max(0, self._most - len(self._data))]

    def result(self) -> bytes:
        self.join(5)
        return bytes(self._data)


def _write(stream: object, data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(data)  # type: ignore[attr-defined]
        stream.close()  # type: ignore[attr-defined]


@contextlib.contextmanager
def _started(
    limits: list[str], command: list[str], code: bytes
) -> Iterator[tuple[subprocess.Popen[bytes], int | None, int | None]]:
    """bubblewrap at its command, a pidfd of the first process of its namespace, and its number; None where it made
    none. limits: what runs it. code: of the seccomp filter, none if empty."""
    listen, tell = os.pipe()
    first = number = None
    rules = os.memfd_create("filter")
    os.write(rules, code)
    os.lseek(rules, 0, os.SEEK_SET)
    try:
        try:
            filtered = ["--seccomp", str(rules)] if code else []
            process = subprocess.Popen(
                [*limits, command[0], "--info-fd", str(tell), *filtered, *command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=[tell, rules],
                env={},  # bubblewrap's own process is seen inside, by an ordinary user with what it was started with
            )
        finally:
            os.close(tell)
            os.close(rules)
        with process:
            said = b""
            while not said.endswith(b"}\n") and (part := os.read(listen, 4096)):
                said += part
            with contextlib.suppress(ProcessLookupError, ValueError):  # it is over already, or was never there
                number = json.loads(said)["child-pid"]
                first = os.pidfd_open(number)
            yield process, first, number
    finally:
        os.close(listen)
        if first is not None:
            os.close(first)


def _end(process: subprocess.Popen[bytes], first: int | None) -> None:
    """The first process of the namespace takes every other with it, and is killed too: in an ordinary user's room it
    can be made to outlive bubblewrap. We wait for that, because what still runs could move a folder away under whoever
    reads or owns files here as root."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if first is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(first, signal.SIGKILL)
        select.select([first], [], [])


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """What a name or command that no system takes ends in is a UsageError: too long, not of this world, a loop of links
    or folders without end (RuntimeError)."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"{name[:200]!r}: {getattr(e, 'strerror', None) or e}") from None


def _filter(name: str) -> bytes:
    path = walls.HERE / "filters" / f"{platform.machine()}-{name}.bpf"
    if not path.exists():
        raise NoProtection(f"no seccomp filter of rooms for {platform.machine()}; tools/make_seccomp.py writes some")
    return path.read_bytes()


def _command(folder: Path) -> list[str]:
    bubblewrap = namespaces.installed()
    if bubblewrap is None:
        raise NoProtection("a researcher's workspace needs bubblewrap; install it (`apt install bubblewrap`)")
    if shutil.which("find") is None:
        raise NoProtection("a researcher's workspace needs find (findutils), to see how much it holds")
    said = [bubblewrap, *(f"--unshare-{kind}" for kind in namespaces.KINDS if kind != "mnt")]
    said += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "workspace"]
    if os.geteuid():
        said += ["--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    said += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    said += _quiet_proc()
    said += ["--perms", "1777", "--size", str(TMP), "--tmpfs", "/tmp", "--remount-ro", "/dev"]
    for made in ("/opt", PACKAGES, "/etc"):
        said += ["--perms", "0755", "--dir", made]
    for top in ("bin", "sbin", "lib", "lib64", "lib32"):
        if Path("/", top).is_symlink():
            said += ["--symlink", os.readlink(f"/{top}"), f"/{top}"]
        elif Path("/", top).is_dir():
            said += ["--ro-bind", f"/{top}", f"/{top}"]
    for file in ("/etc/ld.so.cache", "/etc/alternatives"):
        said += ["--ro-bind-try", file, file]
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        for above in reversed(Path(sys.base_prefix).parents[:-1]):  # open to all inside, whatever they are outside
            said += ["--perms", "0755", "--dir", str(above)]
        said += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    for package in ("numpy",):
        place = walls.place(package)
        for part in (place, place.parent / f"{package}.libs"):
            if part.is_dir():
                said += ["--ro-bind", str(part), f"{PACKAGES}/{part.name}"]
    said += _hidden()
    said += ["--bind", str(folder), ROOM]
    said += ["--remount-ro", "/"]  # else an ordinary user's: half of the machine's memory, beside the limit of /tmp
    paths = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    settings = {"PATH": paths, "HOME": ROOM, "LANG": "C.UTF-8", "PYTHONPATH": PACKAGES, "OPENBLAS_NUM_THREADS": "1",
                "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    return said + [part for name, value in settings.items() for part in ("--setenv", name, value)]


def _quiet_proc() -> list[str]:
    """Nothing in /proc but processes: what the kernel counts over the whole machine (load, memory, interrupts, entries
    of its caches) tells what hidden work did while the room stood still."""
    said: list[str] = []
    for entry in sorted(Path("/proc").iterdir()):
        if entry.name.isdigit() or entry.name in OF_PROC or entry.is_symlink():
            continue
        if entry.is_dir():
            said += ["--size", "4096", "--tmpfs", str(entry), "--remount-ro", str(entry)]
        else:
            said += ["--dev-bind", "/dev/null", str(entry)]
    return said


def _hidden() -> list[str]:
    """toprope and the packages of tasks, where they are installed among what is shown: nothing in their place."""
    shown, said = [Path("/usr").resolve(), Path(sys.base_prefix).resolve()], list[str]()
    tasks = {root.resolve() for plugin in plugins.registered(plugins.TASKS).values() for root in plugin.roots}
    for package in sorted({Path(version.__file__).resolve().parent, *tasks}):
        if not any(package.is_relative_to(s) for s in shown):
            continue
        if package.is_dir():
            said += ["--size", "4096", "--tmpfs", str(package), "--remount-ro", str(package)]
        else:
            said += ["--ro-bind", "/dev/null", str(package)]
    return said


def _user() -> list[str]:
    """As root: become a stranger without a capability before anything of the researcher's runs."""
    if os.geteuid():
        return []
    if shutil.which("setpriv", path="/usr/bin:/bin") is None:
        raise NoProtection("a workspace started by root needs setpriv (util-linux), or start toprope as another user")
    ids = [f"--reuid={walls.UID}", f"--regid={walls.UID}", "--clear-groups"]
    less = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    return ["sh", "-c", COVERED, "sh", "setpriv", *ids, *less]
