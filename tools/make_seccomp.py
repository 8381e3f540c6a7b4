"""Write the seccomp filters the sandbox ships, as classic BPF bytes per architecture. Development time only.

    python tools/make_seccomp.py          needs libseccomp 2.5 and `pip install pyseccomp`

Stage 1 is loaded once by the zygote: an allow-list, everything else answers EPERM, and calls no honest numeric code
makes kill the process (SIGSYS: a tripwire). Stage 2 is loaded by every child and only takes away: processes, signals,
limits, further filters. Two stages because loading the long list costs three times the short one, and only the short
one is paid per candidate. Filters add up and no later one can widen an earlier one (seccomp(2)).
"""

# ruff: noqa: SIM905 (system calls read better as prose than as eighty quoted strings)
from __future__ import annotations

import errno
import os
from pathlib import Path

import pyseccomp as s

OUT = Path(__file__).parent.parent / "src" / "toprope" / "sandbox" / "filters"
ARCHES = {"x86_64": s.Arch.X86_64, "aarch64": s.Arch.AARCH64}

# What CPython and NumPy need to compute, import and read. No call that creates, changes or names a file for writing.
COMPUTE = """
read write close fstat newfstatat stat lstat statx lseek mmap munmap mprotect mremap madvise brk rt_sigaction
rt_sigprocmask rt_sigreturn sigaltstack pread64 readv writev getdents64 getcwd readlink readlinkat access faccessat
faccessat2 futex sched_yield getpid gettid getppid getuid geteuid getgid getegid getgroups nanosleep gettimeofday time
exit exit_group getrandom uname sysinfo getrusage set_robust_list rseq set_tid_address restart_syscall dup dup2 dup3
pipe pipe2 poll ppoll select pselect6 times arch_prctl membarrier setitimer getitimer recvmsg getcpu
""".split()

# What the zygote itself does between fork and the candidate's first line; stage 2 takes all of it away again.
ZYGOTE = "clone clone3 wait4 waitid kill pidfd_open sendmsg close_range tgkill".split()

# No honest numeric candidate makes these calls: one attempt ends the child, and the referee sees SIGSYS.
TRIPWIRES = """
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd pidfd_send_signal kcmp
socket socketpair connect bind listen accept accept4 execve execveat memfd_create memfd_secret
tkill rt_sigqueueinfo rt_tgsigqueueinfo setns unshare mount umount2 pivot_root chroot open_tree move_mount fsopen
fsmount mount_setattr bpf keyctl add_key request_key perf_event_open io_uring_setup io_uring_enter io_uring_register
userfaultfd shmget shmat shmctl semget msgget mq_open symlink symlinkat link linkat open_by_handle_at
init_module finit_module delete_module kexec_load kexec_file_load landlock_create_ruleset
""".split()

# In a child only: signals to anyone are a tripwire; processes, waiting, sending descriptors and limits are refused.
CHILD_TRIPWIRES = "kill pidfd_open".split()
CHILD_REFUSED = "fork vfork wait4 waitid sendmsg prctl seccomp tgkill close_range".split()

# What would tell a child how many ran before it, how long the machine is up and how busy it is. Process numbers are
# answered by 0: honest code only ever prints them.
CHILD_NUMBERS = "getpid getppid gettid set_tid_address".split()
CHILD_WHEN = "times sysinfo".split()

# A researcher's workspace allows nearly all. Space is taken by writing, slow enough to be watched, not by reserving. In
# a workspace that is full nothing new is made, so that no command can take a little more before it is ended. All of it
# ends with the process that started it, also if an ordinary user's workspace lets bubblewrap's inner process call
# anything.
RESERVE = (0x40305828, 0x4030582A, 0x40305829, 0x4030582B, 0x40305839)  # FS_IOC_RESVSP, RESVSP64, UNRESVSP*, ZERO_RANGE
MAKE = "mkdirat mknodat linkat symlinkat setxattr lsetxattr fsetxattr bind".split()
MAKE_OLD = "creat mkdir mknod link symlink".split()  # newer architectures have the calls above alone
MAKE_FLAGS = (os.O_CREAT, 0o20000000)  # the latter: of O_TMPFILE

WRITE_FLAGS = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
CLONE_THREAD = 0x10000
FCNTL = (0, 1, 2, 3, 4, 1030)  # F_DUPFD GETFD SETFD GETFL SETFL DUPFD_CLOEXEC: no locks, leases, seals, pipe sizes
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
CLOCKS = (*range(8), 11)  # the machine's and one's own; the others are CPU clocks of processes, of any process at all
PRCTL = (1, 15, 22)  # PR_SET_PDEATHSIG PR_SET_NAME PR_SET_SECCOMP


def stage1(arch: str) -> s.SyscallFilter:
    """The zygote's allow-list. Allowed argument values are listed, never forbidden ones: junk in high bits fails."""
    f = empty(arch, s.ERRNO(errno.EPERM))
    add(f, s.ALLOW, *COMPUTE, *ZYGOTE)
    add(f, s.KILL_PROCESS, *TRIPWIRES)
    f.add_rule(s.ALLOW, "openat", s.Arg(2, s.MASKED_EQ, WRITE_FLAGS, 0))
    if arch == "x86_64":  # newer architectures have openat alone
        f.add_rule(s.ALLOW, "open", s.Arg(1, s.MASKED_EQ, WRITE_FLAGS, 0))
    for name, position, values in (("fcntl", 1, FCNTL), ("ioctl", 1, IOCTL), ("prctl", 0, PRCTL)):
        for value in values:
            f.add_rule(s.ALLOW, name, s.Arg(position, s.EQ, value))
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        for value in CLOCKS:
            f.add_rule(s.ALLOW, name, s.Arg(0, s.EQ, value))
    for name in ("prlimit64", "sched_getaffinity"):
        f.add_rule(s.ALLOW, name, s.Arg(0, s.EQ, 0))  # one's own only, never another process's
    add(f, s.ALLOW, "getrlimit")
    return f


def stage2(arch: str) -> s.SyscallFilter:
    """The child's removals. clone3 hides its flags in memory, so it answers ENOSYS and libc falls back to clone."""
    f = empty(arch, s.ALLOW)
    add(f, s.KILL_PROCESS, *CHILD_TRIPWIRES)
    add(f, s.ERRNO(errno.EPERM), *CHILD_REFUSED, *CHILD_WHEN)
    add(f, s.ERRNO(0), *CHILD_NUMBERS)
    f.add_rule(s.ERRNO(errno.ENOSYS), "clone3")
    f.add_rule(s.ERRNO(errno.EPERM), "clone", s.Arg(0, s.MASKED_EQ, CLONE_THREAD, 0))  # threads yes, processes no
    f.add_rule(s.ERRNO(errno.EPERM), "prlimit64", s.Arg(2, s.NE, 0))  # read limits yes, set them no
    return f


def room(arch: str) -> s.SyscallFilter:
    """A researcher's room: no space without writing it, no life without bubblewrap's."""
    f = empty(arch, s.ALLOW)
    f.add_rule(s.ERRNO(errno.EOPNOTSUPP), "fallocate")
    for value in RESERVE:
        f.add_rule(s.ERRNO(errno.EOPNOTSUPP), "ioctl", s.Arg(1, s.MASKED_EQ, 0xFFFFFFFF, value))
    f.add_rule(s.ERRNO(errno.ENOSYS), "io_uring_setup")
    f.add_rule(s.ERRNO(errno.ENOSYS), "sysinfo")  # counts of the whole machine, as in /proc
    f.add_rule(s.ERRNO(errno.EPERM), "prctl", s.Arg(0, s.MASKED_EQ, 0xFFFFFFFF, 1))  # PR_SET_PDEATHSIG
    return f


def full(arch: str) -> s.SyscallFilter:
    """A room that is full: what would make a file answers as a full disk does. Writing is for RLIMIT_FSIZE."""
    f = room(arch)
    add(f, s.ERRNO(errno.ENOSPC), *MAKE)
    f.add_rule(s.ERRNO(errno.ENOSYS), "openat2")  # hides its flags in memory
    for flag in MAKE_FLAGS:
        f.add_rule(s.ERRNO(errno.ENOSPC), "openat", s.Arg(2, s.MASKED_EQ, flag, flag))
        if arch == "x86_64":
            f.add_rule(s.ERRNO(errno.ENOSPC), "open", s.Arg(1, s.MASKED_EQ, flag, flag))
    if arch == "x86_64":
        add(f, s.ERRNO(errno.ENOSPC), *MAKE_OLD)
    return f


def empty(arch: str, default: object) -> s.SyscallFilter:
    """A filter for one architecture only: x32 and 32-bit entry points then meet the kill action."""
    f = s.SyscallFilter(default)
    if s.system_arch() != ARCHES[arch]:
        f.add_arch(ARCHES[arch])
        f.remove_arch(s.system_arch())
    f.set_attr(s.Attr.ACT_BADARCH, s.KILL_PROCESS)
    return f


def add(f: s.SyscallFilter, action: object, *names: str) -> None:
    for name in names:
        if s.resolve_syscall(s.Arch.NATIVE, name) == -1:
            print(f"  {name}: unknown to this libseccomp, left to the default action")
            continue
        f.add_rule(action, name)


def export(f: s.SyscallFilter) -> bytes:
    with open(os.memfd_create("bpf"), "w+b", buffering=0) as out:
        f.export_bpf(out)
        out.seek(0)
        return out.read()


FILTERS = {"stage1": stage1, "stage2": stage2, "room": room, "full": full}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for arch in ARCHES:
        for name, make in FILTERS.items():
            code = export(make(arch))
            path = OUT / f"{arch}-{name}.bpf"
            path.write_bytes(code)
            print(f"{path.name}: {len(code) // 8} instructions")


if __name__ == "__main__":
    main()
