"""Does the sandbox hold on this machine? Ask it: a real child runs canaries that try to get out, one variant each.

Nothing is concluded from versions or sysctls: on some systems a call succeeds and its effect is withheld. A layer is
proven if every canary sent against it failed *and* the honest variant of the same block answered. A canary counts as
failed if the kernel refused (it answers 0), killed the child (violation, memory, timeout), and in no other way.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import NoProtection, WorkerDied
from toprope.protocols import Dialogue, Outputs
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Outcome, Round

LIMITS = Limits(wall_s=1.0, cpu_s=1.0, memory_mb=128)
STOPPED = (Outcome.VIOLATION, Outcome.MEMORY, Outcome.TIMEOUT)
REMEDY = {
    "files": "Landlock: Linux 5.13 or newer with `landlock` among the security modules (lsm= at boot);"
    " in a container allow the landlock_* system calls",
    "kernel": "seccomp filters: a kernel with CONFIG_SECCOMP_FILTER; in a container allow prctl(PR_SET_SECCOMP)",
    "limits": "resource limits: nothing outside may forbid setrlimit",
    "start": "a Linux machine with /proc mounted, and the interpreter and NumPy readable by this user",
}

# canary -> (layer, kind of remedy, program). A program that returns has got through; one that is refused has not.
CANARIES: dict[str, tuple[str, str, str]] = {
    "read a file outside": ("files", "files", "open(PATHS[0]).read()"),
    "read toprope's own code": ("files", "files", "open(PATHS[1]).read()"),
    "list the root directory": ("files", "files", "os.listdir('/')"),
    "read the scorer's environment": ("proc", "files", "open(f'/proc/{SCORER}/environ').read()"),
    "read its own memory map": ("proc", "files", "open('/proc/self/maps').read()"),
    "write a file": ("writes", "files", "open(PATHS[0] + '.new', 'w').write('x')"),
    "open a socket": ("network", "kernel", "__import__('socket').socket()"),
    "connect to a local socket": ("network", "kernel", "__import__('socket').socket(1)"),
    "fork": ("processes", "kernel", "os.fork() or os._exit(0)"),
    "execute a program": ("processes", "kernel", "os.execv('/bin/true', ['true'])"),
    "signal its parent": ("signals", "kernel", "os.kill(os.getppid(), 0)"),
    "trace its parent": ("tracing", "kernel", "must(libc.ptrace(0x4206, os.getppid(), 0, 0))"),
    "call io_uring": ("tripwires", "kernel", "libc.syscall(425, 1, bytes(120))"),
    "make a memory file": ("tripwires", "kernel", "os.memfd_create('x')"),
    "raise a limit": ("limits", "kernel", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"),
    "take too much memory": ("limits", "limits", "np.empty(1 << 30, np.uint8)"),
    "run too long": ("limits", "limits", "spin()"),
    "use an inherited descriptor": ("descriptors", "limits", "must(-1 if not strangers() else 0)"),
}
PROGRAM = """
import ctypes, json, os, resource
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
def spin():
    while True:
        pass
def strangers():
    found = []
    for fd in range(4, 64):
        try:
            if os.fstat(fd).st_nlink:  # the memories it was handed have no link
                found.append(fd)
        except OSError:
            pass
    return found
def f(paths, scorer, *, params):
    global PATHS, SCORER
    PATHS, SCORER = paths.tolist(), int(scorer[0])
    if params["canary"] is None:
        return [2.0]
    try:
        eval(params["canary"])
    except (OSError, ValueError):  # setrlimit turns a refusal into ValueError
        return [0.0]
    return [1.0]
"""


class Finding(msgspec.Struct, frozen=True):
    """What the canaries say about one layer. remedy: empty if ok."""

    ok: bool
    detail: str
    remedy: str = ""


class Report(msgspec.Struct, frozen=True):
    """tier, and layer name -> finding."""

    tier: str
    layers: dict[str, Finding]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.layers.values())


def prove(tier: str) -> Report:
    """Run every canary in a real child of this tier, about a second. Never raises for lack of protection."""
    try:
        with Sandbox(LIMITS, tier=tier) as sandbox, tempfile.TemporaryDirectory() as folder:
            result, answers = _run(sandbox, Path(folder))
            said = sandbox.protection
    except (NoProtection, WorkerDied) as e:
        return Report(tier, {"start": Finding(False, str(e), REMEDY["start"])})
    honest = result.outcomes[-1] is Outcome.OK and bool(answers[-1] == 2.0)
    layers = {"start": Finding(honest, f"{said['identity']}, Landlock ABI {said['landlock_abi']}", "")}
    if not honest:
        layers["start"] = Finding(False, f"the honest variant ended as {result.outcomes[-1]}", REMEDY["start"])
    for i, (name, (layer, remedy, _)) in enumerate(CANARIES.items()):
        stopped = result.outcomes[i] in STOPPED or (result.outcomes[i] is Outcome.OK and bool(answers[i] == 0.0))
        layers[layer] = _merge(layers.get(layer), name, stopped, REMEDY[remedy])
    return Report(tier, layers)


def _merge(before: Finding | None, name: str, stopped: bool, remedy: str) -> Finding:
    if before is not None and not before.ok:
        return Finding(False, before.detail if stopped else f"{before.detail}, {name}", before.remedy)
    if stopped:
        return Finding(True, f"{before.detail}, {name}" if before else f"denied: {name}")
    return Finding(False, f"a canary could {name}", remedy)


def _run(sandbox: Sandbox, folder: Path) -> tuple[JobResult, NDArray[np.float64]]:
    folder.chmod(0o755)  # readable by anyone, so that only the sandbox stands before it
    canary = folder / "canary"
    canary.write_text("gold")
    programs = [program for _, _, program in CANARIES.values()]
    space = Space([Dim("canary", [*programs, None])])
    rows = np.arange(len(programs) + 1, dtype=np.uint8)[:, None]
    answers = np.full(len(rows), np.nan)

    def on_case(_: int, outputs: Outputs, alive: NDArray[np.bool_]) -> None:
        answers[alive] = outputs["y"][alive, 0]

    public = {"paths": np.array([str(canary), str(Path(__file__))]), "scorer": np.array([os.getpid()])}
    with PublicMemory.of(public) as memory:
        job = Job({"solution.py": PROGRAM.encode()}, space, rows, ["f"])
        return sandbox.run(job, [Case(memory, 0, _ask)], on_case), answers


def _ask(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("paths", "scorer"), returns=(Array("y", "f8", (1,)),)),)))


@functools.cache
def best_tier() -> str:
    """The best tier that proves itself on this machine. Raises NoProtection with the remedy if none does."""
    if not sys.platform.startswith("linux"):
        raise NoProtection(f"candidates can be run safely on Linux only, this is {sys.platform}; on Windows use WSL2")
    report = prove("linux-landlock")
    if report.ok:
        return report.tier
    layer, finding = next((name, f) for name, f in report.layers.items() if not f.ok)
    raise NoProtection(f"no sandbox tier holds here: {layer}: {finding.detail}. Remedy: {finding.remedy}")


def diagnose() -> dict[str, Any]:
    """What `toprope doctor` says: the tier that holds here, or "none", and every layer with its remedy."""
    report = prove("linux-landlock") if sys.platform.startswith("linux") else Report("linux-landlock", {})
    layers = {name: msgspec.structs.asdict(finding) for name, finding in report.layers.items()}
    return {"tier": report.tier if report.layers and report.ok else "none", "layers": layers}
