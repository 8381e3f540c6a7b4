"""The zygote: imports NumPy once, sets up its layers, then forks one child per job and reports how it ended.

It holds no gold, never reads a job (the child's socket passes through it unread), and serves one child at a time.
Control socket, SOCK_SEQPACKET, one message each way per step:

    scorer -> zygote    b"J" + child's socket, or b"F" for a bare fork (what a fork alone costs: the benchmark's unit)
    zygote -> scorer    ready record (JSON); then per job b"P" with the child's pidfd, then STATUS when it is reaped;
                        or NO_CHILD and why, and nothing more
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

import numpy as np

from . import candidate, layers
from .channel import NO_CHILD, STATUS, TEXT_MAX, ParentChannel, mapped

PAUSES = (0.05, 0.2, 1.0)  # seconds between tries to fork
CHANNEL = 3  # the only descriptor of a child besides /dev/null on 0, 1, 2


def wall_in(config: dict[str, Any]) -> dict[str, Any]:
    """Warms up, then sets up the layers that children inherit; returns the ready record. Raises OSError."""
    off = config["off"]
    warm_up(config)
    config["base"] = layers.address_space(config["proc"])
    os.close(config["proc"])
    record: dict[str, Any] = {"landlock_abi": 0, "identity": "unchanged", "numpy": np.__version__}
    if config["own_root"] and os.geteuid() == 0:
        layers.forbid_user_namespaces()
    if "identity" not in off:
        record["identity"] = layers.drop_privileges(config["uid"])
    else:
        layers.prctl(layers.PR_SET_NO_NEW_PRIVS, 1)
    os.chdir("/")
    if "landlock" not in off:
        record["landlock_abi"] = layers.landlock(config["readable"])
    if "seccomp" not in off:
        layers.seccomp(bytes.fromhex(config["stages"][0]))
    gc.collect()
    gc.freeze()  # children then leave the zygote's pages alone (copy on write)
    return record


def warm_up(config: dict[str, Any]) -> None:
    """Imports what NumPy would import late, and runs one call of each kind, so that no child spends time on it."""
    for name in config["preload"]:
        __import__(name)
    sys.path[:] = [p for p in sys.path if p not in config["site"]]  # loaded packages still find their own submodules
    a = np.random.default_rng(0).standard_normal((16, 4))
    np.linalg.lstsq(a, a[:, 0], rcond=None)
    np.linalg.eigh(a.T @ a)
    np.fft.rfft(a[:, 0])
    candidate.warm_up()


def serve(config: dict[str, Any], record: dict[str, Any]) -> None:
    """Sends the ready record, then serves one child at a time until the control socket closes."""
    config["pid"] = os.getpid()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=config["control"])
    stage2 = bytes.fromhex(config["stages"][1])
    os.write(control.fileno(), json.dumps(record).encode())
    room = socket.CMSG_SPACE(4)
    while True:
        message, extra, _, _ = control.recvmsg(16, room)
        if not message:
            os._exit(0)
        began = time.process_time()
        job = array.array("i", extra[0][2])[0] if extra else -1
        try:
            pid = forked()
        except OSError as e:
            os.write(control.fileno(), NO_CHILD + str(e).encode()[:200])
            if job >= 0:
                os.close(job)
            continue
        if pid == 0:
            try:
                if message == b"J":
                    child(job, config, stage2)
            finally:  # a child never returns into this loop, whatever fails
                os._exit(0 if message == b"F" else 1)
        if job >= 0:
            os.close(job)
        watch(control, pid, message == b"J", began)


def forked() -> int:
    """fork(2), retried after short pauses if the system has no process left at the moment."""
    for pause in PAUSES:
        with contextlib.suppress(OSError):
            return os.fork()
        time.sleep(pause)
    return os.fork()


def watch(control: socket.socket, pid: int, announce: bool, began: float) -> None:
    """Sends the child's pidfd, waits for its end and reports it. If the scorer ends first, the child is killed."""
    if announce:
        pidfd = os.pidfd_open(pid)
        rights = array.array("i", [pidfd])
        control.sendmsg([b"P"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(control, 0)  # hang-up is always reported
        ready = {fd for fd, _ in poll.poll()}
        if pidfd not in ready:
            os.kill(pid, signal.SIGKILL)
        os.close(pidfd)
    _, status, usage = os.wait4(pid, 0)
    try:
        spent = (usage.ru_utime + usage.ru_stime, time.process_time() - began)
        os.write(control.fileno(), STATUS.pack(status, *spent))
    except OSError:
        os._exit(0)


def child(job: int, config: dict[str, Any], stage2: bytes) -> None:
    """Sets up the layers of a child, then runs the candidate."""
    off = config["off"]
    if "fds" not in off:
        os.dup2(job, CHANNEL)
        os.closerange(CHANNEL + 1, 1 << 20)  # one close_range(2)
        job = CHANNEL
    layers.die_with_parent()
    if os.getppid() != config["pid"]:  # the zygote ended before `die_with_parent` took effect
        return
    channel = ParentChannel(job)
    hello = channel.receive()
    try:
        slots = mapped(hello)
        if "rlimits" not in off:
            layers.limit(config["base"] + hello.meta["memory"], hello.meta["cpu_s"])
        if "seccomp" not in off:
            layers.seccomp(stage2)
    except (OSError, ValueError, MemoryError) as e:
        channel.note(b"M", 0, f"{type(e).__name__}: {e}".encode()[:TEXT_MAX])
        return
    channel.note(b"S", 0, b"")
    candidate.converse(channel, hello, slots)
