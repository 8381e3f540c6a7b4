"""The kernel's layers, one function each: Landlock, seccomp, identity, limits, descriptors. ctypes only.

Each function raises OSError if the kernel refuses, and the zygote does not catch it: a layer that cannot be set up ends
the process before a candidate's code is loaded (fail closed).

Sources: Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h (rights, sizes per ABI),
seccomp(2), prctl(2), capabilities(7), include/uapi/linux/securebits.h.
Not covered: kernel bugs, the clock (vDSO), caches shared with other processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct

libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 38, 47
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same number on every architecture
MS_RDONLY = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3


def check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def prctl(option: int, a: int = 0, b: object = 0, c: int = 0) -> int:
    return check(libc.prctl(option, a, b, c, 0), f"prctl({option}, {a})")


def die_with_parent() -> None:
    """Requests SIGKILL when the parent ends. Fork and a change of uid reset this, so every child requests it again."""
    prctl(PR_SET_PDEATHSIG, 9)


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 if it has none or it is switched off."""
    return max(0, int(libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def landlock(readable: list[str]) -> int:
    """Denies every file-system right but reading these paths and below; returns the ABI. Children inherit this.

    ABI 4 adds TCP, ABI 6 signals and abstract sockets outside the domain; seccomp forbids those calls on any kernel.
    ABI 1 and 2 cannot deny truncation; seccomp refuses every open for writing and truncate itself.
    """
    abi = landlock_abi()
    if abi < 1:
        raise OSError(95, "Landlock is not available in this kernel")
    rights = (1 << (13 if abi < 2 else 14 if abi < 3 else 15 if abi < 5 else 16)) - 1
    attr = struct.pack("<QQQ", rights, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = check(libc.syscall(LANDLOCK_CREATE, attr, ctypes.c_size_t(len(attr)), 0), "landlock_create_ruleset")
    for path in readable:
        with contextlib.suppress(FileNotFoundError):
            allow(ruleset, path)
    check(libc.syscall(LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)
    return abi


def allow(ruleset: int, path: str) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE
        check(libc.syscall(LANDLOCK_ADD, ruleset, 1, struct.pack("<Qi", rights, fd), 0), f"landlock_add_rule {path}")
    finally:
        os.close(fd)


class Filter(ctypes.Structure):
    """struct sock_fprog: a classic BPF program."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def seccomp(code: bytes) -> None:
    """Adds one filter permanently. Needs no_new_privs. code: 8-byte BPF instructions made by tools/make_seccomp.py."""
    prctl(PR_SET_SECCOMP, 2, ctypes.byref(Filter(len(code) // 8, code)))


def drop_privileges(uid: int | None) -> str:
    """Changes to `uid` (None: keeps ours) and drops every capability permanently; returns a description of the result.

    The uid is kept if the interpreter lies below a directory that only its owner may enter, because another user could
    not import from it. Root without capabilities still owns root's files; Landlock protects these.
    """
    privileged = os.geteuid() == 0
    if privileged:
        for capability in range(64):
            with contextlib.suppress(OSError):  # EINVAL beyond the last capability; EPERM if we may not: checked below
                prctl(PR_CAPBSET_DROP, capability)
        with contextlib.suppress(OSError):
            prctl(PR_SET_SECUREBITS, 0b101111)  # NOROOT, NO_SETUID_FIXUP, both locked; KEEP_CAPS off and locked
    if privileged and uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    with contextlib.suppress(OSError):  # kernels before 4.3 have no ambient set
        prctl(PR_CAP_AMBIENT, 4)
    header, nothing = struct.pack("<Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, nothing), "capset")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    if not privileged:
        return "uid kept, ordinary user"
    return "uid kept, capabilities dropped" if uid is None else "uid dropped"


def forbid_user_namespaces() -> None:
    """For root in a mount namespace of its own: prevents all descendants from making a user namespace.

    The kernel refuses one to a process whose root is not the root of its mount namespace (EPERM in clone(2)). So an
    empty file system is mounted on top of ours, and our root stays beneath. bubblewrap sets a count to zero instead,
    which works only in a user namespace of our own.
    """
    check(libc.mount(b"none", b"/", b"tmpfs", MS_RDONLY, b"size=4k"), "mount on /")


def limit(memory: int, cpu_s: int) -> None:
    """Lowers this process's limits permanently. memory: bytes of address space. cpu_s: seconds until SIGXCPU; SIGKILL
    follows a second later."""
    for what, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))


def address_space(proc: int) -> int:
    """Bytes of address space of this process. proc: a descriptor of /proc, which may not be mounted here."""
    fd = os.open("self/statm", os.O_RDONLY, dir_fd=proc)
    try:
        return int(os.read(fd, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(fd)
