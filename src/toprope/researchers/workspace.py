"""A researcher's workspace: one folder, a shell, Python with numpy, and nothing else of the machine.

It is a slower profile beside the candidates' sandbox: several processes, any program of /usr, files that stay.
bubblewrap makes namespaces for it (mounts, processes, network, IPC, host name), without capabilities; started by root,
also another user. It sees /usr read-only, the interpreter, numpy, and its own folder. It does not see toprope, its
weights and vault, homes, other workspaces or the network. Not covered: kernel bugs, the clock, the machine's load.

The size of a workspace is checked repeatedly, because the kernel offers no quota for a folder without setting up the
machine for it. A command is ended when its workspace holds too much or the disk is nearly full; in a full workspace
commands can read and remove, but not create or write. A seccomp filter prevents taking space faster than the checks
see it (`tools/make_seccomp.py`).
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
OUTPUT_MAX = 10 << 20  # bytes of each stream that are kept; the rest is read and dropped
MEMORY_KB = 4 << 20  # ulimit -v
FILE_BLOCKS = 1 << 20  # ulimit -f, in blocks of 512 bytes (POSIX; dash, and bash as sh)
PROCESSES = 2048  # at once, of the workspace's user; dash uses another letter for this limit than bash
TMP = 1 << 30  # bytes of /tmp, which is in memory
LIMITS = (  # also for bubblewrap's own processes, which an ordinary user's workspace can reach; first to be killed
    f'{{ echo 1000 >/proc/self/oom_score_adj; }} 2>&-; ulimit -c 0; ulimit -v {MEMORY_KB}; ulimit -f %d; exec "$@"'
)
MANY = f'ulimit -u {PROCESSES} 2>&- || ulimit -p {PROCESSES}; exec "$@"'  # inside: others of the user do not count
ROOM_MAX = 2 << 30  # bytes that a workspace may hold; holes count in full, a file or folder as 4 KiB at least
FREE_BYTES, FREE_FILES = 1 << 30, 10_000  # that workspaces leave free on the disk, for the ledger and other users
REMOVE = "until that has changed, nothing can be made or written here: remove what you do not need"
LOOK_S = 0.25  # between two checks of the size, longer if a check is slow
OF_PROC = ("filesystems", "version")  # what stays in a workspace's /proc besides processes
COVERED = 'mount -n -t tmpfs -o ro,size=4k none / && exec "$@"'  # as `sandbox/inside/layers.py` forbids user namespaces


class Ran(NamedTuple):
    """code: exit status, -1 if it was killed at a limit. cut: a stream was longer than OUTPUT_MAX. still_s: seconds for
    which the workspace was paused meanwhile."""

    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    cut: bool
    still_s: float = 0.0


class Workspace:
    """One workspace. Calls from several threads wait for each other, so that files do not change while they are
    read."""

    def __init__(self, folder: Path) -> None:
        """folder: made if it is missing. Raises NoProtection if bubblewrap is missing or does not work."""
        self.folder = folder.resolve()
        self.folder.parent.mkdir(0o700, parents=True, exist_ok=True)  # against planted setuid files
        self.folder.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        self._starting = threading.Lock()  # held while a command starts, and while the workspace is paused
        self._first: int | None = None  # number of the first process of the running command
        self._still_since: float | None = None
        self._still_s = 0.0
        self._prefix = _command(self.folder)
        self._own(self.folder)
        self.folder.chmod(0o755)  # its last owner may have changed the mode
        probe = self.run(["true"], timeout_s=20)
        if probe.code:
            said = probe.stderr.decode("utf-8", "replace").strip()[:200]
            raise NoProtection(
                f"a workspace does not start here ({said}); `toprope doctor` shows what bubblewrap lacks"
            )

    def run(self, argv: Sequence[str], timeout_s: float = 60.0, given: bytes = b"", cwd: str = ROOM,
            env: dict[str, str] | None = None, output_max: int = OUTPUT_MAX) -> Ran:  # fmt: skip
        """Runs a command to its end or its limit; all processes that it started end with it. timeout_s: without the
        time of pauses. given: its standard input. Raises UsageError for a command that cannot be started because it is
        too long or holds a NUL byte."""
        own = (
            ["env", "--", *(f"{name}={value}" for name, value in env.items())] if env else []
        )  # after the change of user
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
                with self._starting:  # its number must not be reused while `still` may signal it
                    _end(process, first)
                    self._first = None
            out, err = (s.result() for s in streams)
            cut = any(s.cut for s in streams)
            if full or filled:
                err += f"\n[{'the command was ended: ' if filled else ''}{full or filled}]\n".encode()
            code = -1 if timed_out or filled else process.returncode
            return Ran(code, out, err, timed_out, cut, self.still_s - still)

    def _watched(self, process: subprocess.Popen[bytes], timeout_s: float, growing: bool) -> tuple[bool, str]:
        """Waits for the end of a command; returns whether it reached its time limit, and the reason of `full` if it
        filled the workspace. Pauses of the workspace do not count."""
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
        """Seconds for which this workspace has been paused in all."""
        since = self._still_since
        return self._still_s + (time.monotonic() - since if since is not None else 0.0)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Pauses the workspace: its processes are stopped, and no command begins. A command that cannot be stopped is
        killed."""
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
        """Why the workspace is full; empty if `more` bytes can be written."""
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
                    return f"the workspace holds more than {ROOM_MAX >> 20} MiB; {REMOVE}"
        hidden = b"Permission denied" in said.result()
        return f"the workspace has folders that cannot be read: `chmod -R u+rwX .`; {REMOVE}" if hidden else ""

    def path(self, name: str) -> Path:
        """The path of a file or folder on the host. Raises UsageError for a path outside the workspace, and for a path
        through a link, because a check from here may resolve a link differently from the kernel."""
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
        """Writes a file. Raises UsageError for a path outside or through a link, a folder, or a full workspace."""
        with self.lock, explained(name):
            if why := self.full(len(data)):
                raise UsageError(f"{name[:200]!r} is not written: {why}")
            target = self.path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # never write into a pipe that was put there
            target.write_bytes(data)
            self._own(target)

    def read(self, name: str, most: int = OUTPUT_MAX) -> bytes:
        """Reads a file. Raises UsageError for a path outside or through a link, anything but a plain file, or a file
        of more than `most` bytes."""
        with self.lock, explained(name):
            target = self.path(name)
            if not target.is_file():
                raise UsageError(f"{name[:200]!r} is not a file in the workspace; name one below {ROOM}")
            if target.stat().st_size > most:
                raise UsageError(f"{name[:200]!r} holds {target.stat().st_size} bytes; at most {most} are read")
            return target.read_bytes()

    def _own(self, target: Path) -> None:
        """If we are root: gives the workspace, and files written from here, to the user that its commands run as. Other
        files are not touched: they may lie a thousand folders deep."""
        if os.geteuid() == 0:
            for path in self._down_to(target):
                os.chown(path, walls.UID, walls.UID, follow_symlinks=False)

    def _down_to(self, target: Path) -> Iterator[Path]:
        """The workspace's folder and every part of the path below it."""
        return (path for path in (*reversed(target.parents), target) if path.is_relative_to(self.folder))


class _Reader(threading.Thread):
    """Reads a stream to its end and keeps the first `most` bytes."""

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
    """Starts bubblewrap; yields its process, and pidfd and number of the first process in its namespace, or None if it
    made no process. limits: command that sets limits and runs it. code: the seccomp filter; empty: no filter."""
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
                env={},  # an ordinary user can read the environment of bubblewrap's own process from inside
            )
        finally:
            os.close(tell)
            os.close(rules)
        with process:
            said = b""
            while not said.endswith(b"}\n") and (part := os.read(listen, 4096)):
                said += part
            with contextlib.suppress(ProcessLookupError, ValueError):  # it has already ended, or never began
                number = json.loads(said)["child-pid"]
                first = os.pidfd_open(number)
            yield process, first, number
    finally:
        os.close(listen)
        if first is not None:
            os.close(first)


def _end(process: subprocess.Popen[bytes], first: int | None) -> None:
    """Kills bubblewrap and the first process of the namespace, which ends all others in it. An ordinary user's
    workspace can make that process outlive bubblewrap, so we wait for its end: a process that still runs could replace
    a folder while we read files or change their owner as root."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if first is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(first, signal.SIGKILL)
        select.select([first], [], [])


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns errors of the system about a bad path or command into UsageError: too long, NUL byte, symlink loop,
    endless folders (RuntimeError)."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"{name[:200]!r}: {getattr(e, 'strerror', None) or e}") from None


def _filter(name: str) -> bytes:
    path = walls.HERE / "filters" / f"{platform.machine()}-{name}.bpf"
    if not path.exists():
        raise NoProtection(f"no seccomp filter for workspaces on {platform.machine()}; make one: tools/make_seccomp.py")
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
        for above in reversed(Path(sys.base_prefix).parents[:-1]):  # readable inside, whatever their mode outside
            said += ["--perms", "0755", "--dir", str(above)]
        said += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    for package in ("numpy",):
        place = walls.place(package)
        for part in (place, place.parent / f"{package}.libs"):
            if part.is_dir():
                said += ["--ro-bind", str(part), f"{PACKAGES}/{part.name}"]
    said += _hidden()
    said += ["--bind", str(folder), ROOM]
    said += ["--remount-ro", "/"]  # else an ordinary user could fill half of the memory here, beside /tmp
    paths = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    settings = {"PATH": paths, "HOME": ROOM, "LANG": "C.UTF-8", "PYTHONPATH": PACKAGES, "OPENBLAS_NUM_THREADS": "1",
                "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    return said + [part for name, value in settings.items() for part in ("--setenv", name, value)]


def _quiet_proc() -> list[str]:
    """Options that hide all of /proc but processes: counters of the whole machine (load, memory, interrupts, caches)
    would reveal what hidden work did while the workspace was paused."""
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
    """Options that hide toprope and packages of tasks if they are installed in a folder that is shown."""
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
    """If we are root: the command that changes to another user without capabilities before a researcher's command."""
    if os.geteuid():
        return []
    if shutil.which("setpriv", path="/usr/bin:/bin") is None:
        raise NoProtection("a workspace started by root needs setpriv (util-linux), or start toprope as another user")
    ids = [f"--reuid={walls.UID}", f"--regid={walls.UID}", "--clear-groups"]
    less = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    return ["sh", "-c", COVERED, "sh", "setpriv", *ids, *less]
