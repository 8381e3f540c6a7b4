"""Tests that the sandbox holds on this machine: a real child runs canaries that try to escape, one variant each.

Versions and sysctls prove nothing: on some systems a call succeeds without effect. A layer is proven if every canary
against it failed *and* the honest variant of the same block answered. A canary counts as failed only if the kernel
refused the call (it answers 0) or killed the child (violation, memory); the canary that never ends must time out.
Limits of this process (ulimit) that are too low are reported first, because their effect looks like a missing layer.

`linux-full` is `linux-landlock` plus namespaces, and each half must hold by itself: the canaries of every tier run
without namespaces, those for namespaces run without Landlock and seccomp, and both run once more with all layers.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import NoProtection, WorkerDied
from toprope.protocols import Dialogue, Outputs
from toprope.sandbox import namespaces, ulimits
from toprope.sandbox.box import TIERS, Case, Job, JobResult, Sandbox
from toprope.sandbox.canaries import EVERY, NAMESPACES, PROGRAM, CanaryDecoys
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Outcome, Round

LIMITS = Limits(wall_s=1.0, cpu_s=0.2, memory_mb=128)  # the CPU limit ends the endless canary, even on a busy machine
SLOW = "run too long"  # takes its full limit, and namespaces do not change it
STOPPED = (Outcome.VIOLATION, Outcome.MEMORY)
Canaries = Mapping[str, tuple[str, str, str]]
REMEDY = {
    "files": "Landlock: Linux 5.13 or newer with `landlock` among the security modules (lsm= at boot);"
    f" in a container allow the landlock_* system calls. Without it, on a host or virtual machine that has it:"
    f" {ulimits.CONTAINER}",
    "kernel": "seccomp filters: a kernel with CONFIG_SECCOMP_FILTER; in a container allow prctl(PR_SET_SECCOMP)",
    "limits": "resource limits: nothing outside may forbid setrlimit",
    "start": "a Linux machine with /proc mounted, and the interpreter and NumPy readable by this user",
    "bubblewrap": "bubblewrap 0.8 or newer: `apt install bubblewrap` (dnf, pacman, zypper: the same name)",
    "namespaces": "on Ubuntu 24.04 and later an AppArmor profile that allows /usr/bin/bwrap `userns`, not the global"
    " sysctl (docs/threat-model.md has the profile); elsewhere user.max_user_namespaces above 0; in a container allow"
    " unshare, mount and pivot_root",
}


class LayerProof(msgspec.Struct, frozen=True):
    """What the canaries show about one layer. remedy: empty if ok."""

    ok: bool
    detail: str
    remedy: str = ""


class Report(msgspec.Struct, frozen=True):
    """The result of the self-test of a tier. layers: layer name -> proof."""

    tier: str
    layers: dict[str, LayerProof]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.layers.values())


class Choice(NamedTuple):
    """A tier that passed its self-test. instead: why it is not a better one; empty if it is the best or the user's
    choice."""

    tier: str
    instead: str = ""


@functools.cache
def prove(tier: str) -> Report:
    """Runs every canary in real children of this tier; takes about a second. Lack of protection is reported and never
    raised."""
    if tier != "linux-full":
        return Report(tier, _face(tier, EVERY))
    inner = prove("linux-landlock")
    if not inner.ok:
        return Report(tier, inner.layers)
    outer = _face(tier, NAMESPACES, off=frozenset({"landlock", "seccomp"}))
    if not outer["start"].ok:
        return Report(tier, outer | inner.layers | {"start": outer["start"]})
    both = _face(tier, {name: canary for name, canary in (EVERY | NAMESPACES).items() if name != SLOW})
    broken = {name: finding for name, finding in both.items() if not finding.ok}
    return Report(tier, inner.layers | outer | {"start": both["start"]} | broken)


def _face(tier: str, canaries: Canaries, off: frozenset[str] = frozenset()) -> dict[str, LayerProof]:
    """The proofs of one sandbox with these canaries, by layer; "start" is about the honest variant."""
    try:
        with Sandbox(LIMITS, tier=tier, off=off) as sandbox, tempfile.TemporaryDirectory() as folder:
            result, answers = _run(sandbox, canaries, Path(folder))
            said = sandbox.protection
    except (NoProtection, WorkerDied) as e:
        return {"start": LayerProof(False, str(e), _remedy_for_start(tier))}
    honest = result.outcomes[-1] is Outcome.OK and bool(answers[-1] == 2.0)
    layers = {"start": LayerProof(honest, f"{said['identity']}, Landlock ABI {said['landlock_abi']}", "")}
    if not honest:
        layers["start"] = LayerProof(False, f"the honest variant ended as {result.outcomes[-1]}", REMEDY["start"])
    for i, (name, (layer, remedy, _)) in enumerate(canaries.items()):
        ends = (Outcome.TIMEOUT,) if name == SLOW else STOPPED
        stopped = result.outcomes[i] in ends or (result.outcomes[i] is Outcome.OK and bool(answers[i] == 0.0))
        layers[layer] = _merge(layers.get(layer), name, stopped, REMEDY[remedy])
    return layers


def _remedy_for_start(tier: str) -> str:
    if tier != "linux-full":
        return REMEDY["start"]
    try:
        return REMEDY["namespaces" if namespaces.installed() else "bubblewrap"]
    except NoProtection as e:
        return str(e)


def _merge(before: LayerProof | None, name: str, stopped: bool, remedy: str) -> LayerProof:
    if before is not None and not before.ok:
        return LayerProof(False, before.detail if stopped else f"{before.detail}, {name}", before.remedy)
    if stopped:
        return LayerProof(True, f"{before.detail}, {name}" if before else f"denied: {name}")
    return LayerProof(False, f"a canary could {name}", remedy)


def _run(sandbox: Sandbox, canaries: Canaries, folder: Path) -> tuple[JobResult, NDArray[np.float64]]:
    programs = [program for _, _, program in canaries.values()]
    space = Space([Dim("canary", [*programs, None])])
    rows = np.arange(len(programs) + 1, dtype=np.uint8)[:, None]
    answers = np.full(len(rows), np.nan)

    def on_case(_: int, outputs: Outputs, alive: NDArray[np.bool_]) -> None:
        answers[alive] = outputs["y"][alive, 0]

    with CanaryDecoys(folder) as decoys, PublicMemory.of(decoys.public) as memory:
        job = Job({"solution.py": PROGRAM.encode()}, space, rows, ["f"])
        return sandbox.run(job, [Case(memory, 0, _ask)], on_case), answers


def _ask(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("paths", "numbers"), returns=(Array("y", "f8", (1,)),)),)))


def best_tier(wish: str | None = None) -> Choice:
    """The best tier that passes its self-test here, or the user's choice. Raises NoProtection with the remedy if none
    does or this is not Linux, and MachineFault if the limits of this process are too low for any test."""
    ulimits.require()
    failed: list[Report] = []
    for tier in TIERS if wish is None else (wish,):
        report = prove(tier)
        if report.ok:
            return Choice(tier, "; ".join(f"{r.tier} does not hold here: {_first_fault(r)}" for r in failed))
        failed.append(report)
    which = "no sandbox tier holds" if wish is None else f"sandbox tier {wish} does not hold"
    raise NoProtection(f"{which} here: {_first_fault(failed[-1])}")


def _first_fault(report: Report) -> str:
    layer, finding = next((name, f) for name, f in report.layers.items() if not f.ok)
    return f"{layer}: {finding.detail}. Remedy: {finding.remedy}"


def _allowed() -> LayerProof:
    short = ulimits.shortfalls()
    if short:
        return LayerProof(False, "; ".join(short), "raise it in the shell, the unit or the job that starts toprope")
    return LayerProof(True, f"enough for candidates of {ulimits.MEMORY_MB} MiB")


def _within(allowed: LayerProof, tier: str) -> Report:
    """A tier's report; without proofs if the limits of this process are too low."""
    return Report(tier, {"ulimit": allowed} | (prove(tier).layers if allowed.ok else {}))


def diagnose() -> dict[str, Any]:
    """The JSON object of `toprope doctor`: the tier that holds here or "none", its layers, and those of every tier."""
    reports = []
    if sys.platform.startswith("linux"):
        allowed = _allowed()
        reports = [_within(allowed, tier) for tier in TIERS]
    tiers = {r.tier: {"ok": r.ok, "layers": msgspec.to_builtins(r.layers)} for r in reports}
    best = next((r for r in reports if r.ok), None)
    return {
        "tier": best.tier if best else "none",
        "layers": tiers[(best or reports[-1]).tier]["layers"] if reports else {},
        "tiers": tiers,
    }
