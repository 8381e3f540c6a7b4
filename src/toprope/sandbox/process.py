"""The scorer's handle on one zygote process and on its child: exec, fork, talk, kill, reap.

The zygote is exec'ed (never forked from a process that may hold gold), with a clean environment and three descriptors:
its control socket, a memfd with the source of `inside/`, and our /proc, which it closes before its layers are set up.
In tier linux-full bubblewrap execs it as process 1 of its own namespaces and waits outside; when it ends, the kernel
kills all processes left inside. The zygote ends when the control socket closes. It does not use PDEATHSIG, which fires
when the *thread* that started it ends.
"""

from __future__ import annotations

import array
import contextlib
import itertools
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from toprope.errors import MachineFault, NoProtection, WorkerDied
from toprope.sandbox import namespaces, walls
from toprope.sandbox.inside.channel import LENGTHS, NO_CHILD, ROUND, STATUS
from toprope.sandbox.patience import Gone, Patience
from toprope.unix import KEPT_PAGES, ONE_THREAD, fcntl

CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid as the receiver sees them
KILLED = (-9, 128 + 9)  # by SIGKILL, a name that Windows lacks; bubblewrap passes a signal on like a shell
PART = 1 << 16  # bytes above which a message's blob is sent by a call of its own
SLOTS = 64 << 20  # bytes of shared frames per child; only pages that are written exist
ANSWER_S = 300.0  # a zygote that is silent for so long is given up, as a fault of the machine
HEAR = 1 << 18  # more than a socket buffer holds, so that one read takes all that was sent before
EXIT_S = 1.0  # for a child to exit by itself after its socket is closed
LAST_WORDS = 4096  # bytes; a child that sends more after that is killed
LOOK_AT = 64  # threads of a child whose states are read
BOOT = """
import json, os, sys, types
os.dup2(1, 2)  # from here on errors go through the control socket
os.environ.pop("PYTHONHOME", None)  # no longer needed; candidates must not learn where the interpreter lies
with open(int(sys.argv[1]), "rb") as f: config = json.load(f)
try:
    sys.path[:0] = config["site"]
    package = sys.modules["inside"] = types.ModuleType("inside"); package.__path__ = []
    for name in config["parts"]:
        module = sys.modules["inside." + name] = types.ModuleType("inside." + name)
        module.__package__ = "inside"; setattr(package, name, module)
        exec(compile(config["sources"].pop(name), "inside/" + name + ".py", "exec"), module.__dict__)
    record = module.wall_in(config)
except BaseException as e:
    os.write(config["control"], json.dumps({"error": f"{type(e).__name__}: {e}"[:2000]}).encode())
    os._exit(3)
module.serve(config, record)
"""  # fail closed: any error before the layers are set up ends the process with its text


class ChildEnded(NamedTuple):
    """status: as of wait(2). child_s, zygote_s: CPU seconds."""

    status: int
    child_s: float
    zygote_s: float


class Zygote:
    """One running zygote. pid: in our namespace. record: facts about it, from itself, the kernel and our configuration.

    full: in namespaces of its own. private: with copies of the files that it reads. Raises NoProtection if a layer
    cannot be set up, WorkerDied if it was killed.
    """

    def __init__(self, profile: str, off: frozenset[str], full: bool = False, private: bool = False) -> None:
        config = walls.config(profile, off, full, private)
        plan, root = config.pop("layout"), config.pop("root")
        before, arguments = _outer_wall(plan, root) if full else ([], [])
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        complaints = os.memfd_create("complaints")
        config |= {"control": theirs.fileno(), "proc": proc}
        memory = _memory("inside", json.dumps(config).encode())
        fds = [theirs.fileno(), memory, proc, *arguments]
        python, extra = walls.interpreter("" if full else root)
        self.process = _exec([*before, *python], extra, fds, memory, complaints, leaky="fds" in off)
        theirs.close()
        for fd in fds[1:]:
            os.close(fd)
        self.pid, self.record = self._ready(complaints)
        self.record |= {
            "filters": {} if "seccomp" in off else walls.hashes(config["stages"]),
            "namespaces": namespaces.kinds() if full else [],
        }

    def _ready(self, complaints: int) -> tuple[int, dict[str, Any]]:
        """Waits for its first message. Process and user id come from the kernel, not from the zygote."""
        self.control.settimeout(ANSWER_S)
        try:
            data, extra, _, _ = self.control.recvmsg(1 << 16, socket.CMSG_SPACE(CREDENTIALS.size))
        except TimeoutError:
            os.close(complaints)
            self.close()
            raise WorkerDied(f"the zygote did not start within {ANSWER_S:.0f} s") from None
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)  # later messages carry descriptors instead
        text = os.pread(complaints, 1000, 0).decode("utf-8", "replace").strip()
        os.close(complaints)
        record: dict[str, Any] = json.loads(data) if data else {"error": text or "it ended without a message"}
        if "error" in record:
            self.close()
            if not data and self.process.returncode in KILLED:  # no layer kills like that: another process did
                raise WorkerDied("the zygote was killed while it started")
            said = f"{record['error']} (exit status {self.process.returncode})"
            raise NoProtection(f"the sandbox could not start: {said}; `toprope doctor` says what to repair")
        pid, uid, _ = CREDENTIALS.unpack(extra[0][2])
        return pid, record | {"uid": uid}

    def fork(self) -> Child:
        """A fresh child without a job. Raises WorkerDied if the zygote is gone, MachineFault if it cannot fork."""
        ours, theirs = socket.socketpair()
        try:
            self._send(b"J", theirs.fileno())
            data, extra, _, _ = self.control.recvmsg(256, socket.CMSG_SPACE(4))
        except OSError as e:
            ours.close()
            raise WorkerDied(f"the zygote does not answer: {e}") from None
        finally:
            theirs.close()
        if data.startswith(NO_CHILD):
            ours.close()
            text = data.removeprefix(NO_CHILD).decode("utf-8", "replace")
            raise MachineFault(
                f"this machine cannot start a process for a candidate ({text}); end others or raise `ulimit -u`"
            )
        if not data or not extra:
            ours.close()
            raise WorkerDied("the zygote ended before it made a child")
        return Child(ours, array.array("i", extra[0][2])[0])

    def reap(self) -> ChildEnded:
        """How the child ended. Call it after the child was killed or released. Raises WorkerDied if the zygote ended
        too."""
        try:
            data = self.control.recv(64)
        except OSError:
            data = b""
        if len(data) != STATUS.size:
            raise WorkerDied("the zygote ended while a child was running")
        return ChildEnded(*STATUS.unpack(data))

    def bare_fork(self) -> ChildEnded:
        """Forks and exits: the unit in which the cost of a fresh candidate is measured."""
        self._send(b"F", None)
        return self.reap()

    def _send(self, message: bytes, fd: int | None) -> None:
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.control.sendmsg([message], rights)

    def close(self) -> None:
        self.control.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # bubblewrap and what it started
            self.process.wait()


class Child:
    """A scorer's handle on one child: a socket for messages, slots for frames, a pidfd to kill it."""

    def __init__(self, sock: socket.socket, pidfd: int) -> None:
        self.socket, self.pidfd, self.pid = sock, pidfd, _pid_of(pidfd)
        self.socket.setblocking(False)
        self.inbox = bytearray()
        self.round = 0  # number of the last round that it was asked
        self._settled = 0  # the counter at the end of the round before that
        self._slots_fd = os.memfd_create("slots", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._slots_fd, SLOTS)
        # Without these seals a child could truncate the file, and our next read would end in SIGBUS.
        fcntl.fcntl(self._slots_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.slots = mmap.mmap(self._slots_fd, SLOTS, prot=mmap.PROT_READ)
        self._counter = memoryview(self.slots)[:8].cast("Q")

    def say(self, meta: dict[str, Any], blob: bytes, fd: int, patience: Patience) -> bool:
        """Sends one message and one descriptor (-1: none). False if the child does not read it in time or is gone."""
        text = json.dumps(meta).encode()
        head = LENGTHS.pack(len(text), len(blob)) + text
        parts = [head, blob] if len(blob) > PART else [head + blob]  # two calls cost less than one more copy
        rights = [] if fd < 0 else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        rest = memoryview(parts.pop(0))
        while rest or parts:
            rest = rest or memoryview(parts.pop(0))
            try:
                rest = rest[self.socket.sendmsg([rest[: 1 << 20]], rights) :]
                rights = []
            except BlockingIOError:
                poll = select.poll()
                poll.register(self.socket, select.POLLOUT)
                if not poll.poll(patience.pause() * 1e3) and patience.over() and not poll.poll(0):
                    return False
            except OSError:
                return False
        return True

    def say_job(self, meta: dict[str, Any], blob: bytes, patience: Patience) -> bool:
        return self.say(meta | {"slots": SLOTS}, blob, self._slots_fd, patience)

    def hear(self, seconds: float) -> bytes | None:
        """Bytes that the child sent; b"" if it closed the socket; None if it sent nothing for so long."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if not poll.poll(seconds * 1e3):
            return None
        try:
            return self.socket.recv(HEAR)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def settle(self, variants: int) -> bool:
        """Ends the round. False: the counter is wrong, which it never is for an honest child."""
        self._settled = self.round << ROUND | variants
        return self._counter[0] == self._settled

    def finished(self) -> int | None:
        """Variants finished in this round, according to the child; None if its counter is impossible.

        The child sets the counter when it begins the round, which may be long after it was asked. Until then the
        counter has the value of the last round's end.
        """
        told = self._counter[0]
        if told == self._settled:
            return 0
        return told & ((1 << ROUND) - 1) if told >> ROUND == self.round else None

    def cpu_s(self) -> float:
        """CPU seconds that it has used; 0 after its end. The clock id is that of clock_getcpuclockid(3)."""
        if self.pid < 1:
            return 0.0  # the clock id would be that of our own process
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def states(self) -> str:
        """A letter for each of its threads as in proc(5), T for every kind of stop; empty if they cannot be read."""
        found = ""
        try:
            with os.scandir(f"/proc/{self.pid}/task") as threads:
                for thread in itertools.islice(threads, LOOK_AT):
                    found += Path(thread, "stat").read_text("latin-1").rpartition(")")[2].split()[0].upper()
        except OSError:  # it is ending, or we may not read its /proc entry
            pass
        return found

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def let_go(self) -> bytes:
        """Closes our side, waits EXIT_S for it to exit, then kills it; returns what it still sent."""
        last = bytearray(self.inbox)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        patience = Patience(self, EXIT_S)
        with contextlib.suppress(Gone):  # a child without CPU is killed, like one that does not exit
            while len(last) < LAST_WORDS and (data := self.hear(patience.pause())) != b"" and not patience.over():
                last += data or b""
            while len(last) < LAST_WORDS and not patience.over():
                if self.ends(patience.pause()):
                    return bytes(last)
        self.kill()
        return bytes(last)

    def ends(self, seconds: float) -> bool:
        """Whether it exits by itself within this time."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1e3))

    def close(self) -> None:
        self.socket.close()
        self._counter.release()
        self.slots.close()
        os.close(self._slots_fd)
        os.close(self.pidfd)


def _environment() -> dict[str, str]:
    """A clean environment: one thread for BLAS (needed for forks too), fixed hashes, one malloc arena."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "MALLOC_ARENA_MAX": "1",
        **ONE_THREAD,
        **KEPT_PAGES,
    }


def _outer_wall(plan: namespaces.Layout, root: str) -> tuple[list[str], list[int]]:
    """The bubblewrap command to exec a zygote with, and the descriptors it reads its arguments from.

    Raises NoProtection if bubblewrap is missing or cannot be trusted.
    """
    bwrap = namespaces.installed()
    if bwrap is None:
        raise NoProtection("bubblewrap is not installed")
    fd = _memory("arguments", b"\0".join(map(os.fsencode, namespaces.arguments(plan, root))))
    return [bwrap, "--args", str(fd), "--"], [fd]


def _memory(name: str, data: bytes) -> int:
    """A descriptor of a memfd with these bytes, at offset 0."""
    fd = os.memfd_create(name)
    with open(fd, "wb", closefd=False) as f:
        f.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _pid_of(pidfd: int) -> int:
    """The process id in our namespace; -1 if the process is gone. Source: proc(5), fdinfo of a pidfd."""
    with open(f"/proc/self/fdinfo/{pidfd}") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pid:"))


def _exec(
    python: list[str], environment: dict[str, str], fds: list[int], memory: int, complaints: int, leaky: bool
) -> subprocess.Popen[bytes]:
    """Starts the zygote. python: command of the interpreter. environment: added to the clean one. leaky: inherit all
    descriptors that can be inherited, for the tests which prove that closing them matters."""
    for fd in fds:
        os.set_inheritable(fd, True)
    return subprocess.Popen(
        [*python, "-s", "-P", "-S", "-B", "-c", BOOT, str(memory)],
        close_fds=not leaky,
        pass_fds=() if leaky else fds,
        env=_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        cwd="/",
        start_new_session=True,
    )
