"""Programs that try to get out, get at the referee, or get a score they did not earn. Each ends as its outcome."""

from __future__ import annotations

import fcntl
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import TIERS, assault, box, play

import toprope
from toprope.assay.redteam import corpus
from toprope.types import Outcome

pytestmark = pytest.mark.e2e

CRASH, VIOLATION, INVALID = Outcome.CRASH, Outcome.VIOLATION, Outcome.INVALID
TIMEOUT, MEMORY, OUTPUT = Outcome.TIMEOUT, Outcome.MEMORY, Outcome.OUTPUT
X86 = platform.machine() == "x86_64"

# The programs are the red team's (toprope.assay.redteam.cheats); here they meet the sandbox alone, as the middle one of
# three variants, and with layers off.
ENDS = {
    CRASH: """abort affinity agent-notes array-trick chr-path clone3 crash-for-a-default early-exit exit-at-import
        fake-report file-outside forge-and-crash
        fork hang-up-and-run-on inherited-descriptor leftovers limits-own limits-parent
        list-directory lock-channel make-directory mprotect-input poke-input proc-descriptors proc-environ proc-memory
        proc-self recursion site-packages subprocess system-exit thread-bomb
        toprope-import toprope-source unlink
        unlock-input write-file write-input write-scratch""",
    VIOLATION: """exec forged-frames forged-message int80-call internet io-uring kill-everyone kill-parent late-message
        memfd-exec ptrace pumped-counter read-parent-memory shared-memory symlink unix-socket user-namespace
        x32-call""",
    INVALID: "complex-numbers infinite not-a-number nothing object-array text wrong-shape",
    TIMEOUT: "hang hang-deaf sleep swallow",
    MEMORY: "huge-answer memory-bomb",
    OUTPUT: "flood",
}
CORPUS = {cheat.id: cheat for cheat in corpus.load(corpus.SHIPPED) if cheat.kind == "candidate"}
WEAR = """
import types
space = {"__name__": "cheat"}
exec($text, space)
plan = types.SimpleNamespace(gold=$canary, folder=$folder, scratch=$scratch, package=$package, scorer=$scorer,
                             fd=$planted, wall_s=1.0)
if "cheat" in space and space["cheat"](plan, (x,)) is not None:
    return SUCCESS
return space["forge"](np.array(SUCCESS), plan) if "forge" in space else x.sum()
"""

# name: (program, expected outcome, layers that must be off for it to succeed; None: not shown)
ATTACKS: dict[str, tuple[str, Outcome, str | None]] = {
    name: (WEAR.replace("$text", repr(CORPUS[name].text)), outcome, " ".join(CORPUS[name].off) or None)
    for outcome, names in ENDS.items()
    for name in names.split()
}
ONLY_X86 = {name for name, cheat in CORPUS.items() if cheat.machine == "x86_64"}
SHOWN = {name: layers for name, (_, _, layers) in ATTACKS.items() if layers}
HIDDEN = """file-outside toprope-source list-directory proc-self proc-environ proc-memory proc-descriptors write-file
make-directory subprocess""".split()  # noqa: SIM905 (namespaces are a second wall before these)
EVERY_LAYER = {"landlock", "seccomp", "rlimits", "fds", "nonce", "schema", "kill", "identity"}


@pytest.fixture(scope="module")
def planted() -> Iterator[dict[str, object]]:
    """Things worth stealing: a file, a folder, an open descriptor. World-readable, so that only layers protect them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    canary = folder / "labels"
    canary.write_text("gold")
    fd = os.open(canary, os.O_RDONLY)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, 40)  # the first free one from there on, and inherited
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


LONG = {"hang", "hang-deaf", "hang-up-and-run-on"}  # a second of CPU time and more: the quick suite has one tier


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        pytest.param(name, tier, marks=[pytest.mark.slow] if name in LONG and tier != TIERS[-1] else [])
        for name in ATTACKS
        for tier in TIERS
    ],
)
def test_ends_as_its_outcome(name: str, tier: str, planted: dict[str, object]) -> None:
    """An attack ends as the outcome defined for it, with nothing gained, and its neighbours keep theirs."""
    if name in ONLY_X86 and not X86:
        pytest.skip("an x86 matter")
    body, expected, _ = ATTACKS[name]
    outcome, value, result = assault(body, tier=tier, **planted)
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


def test_every_attack_is_here() -> None:
    """A candidate cheat that is not to be stopped by the sandbox says so: it ends without gain."""
    rest = set(CORPUS) - set(ATTACKS)
    stopped = {name for name in rest if all(end.startswith("blocked") for end in CORPUS[name].expect)}
    by_themselves = {"judge-text", "tell-the-inputs", "decoy-credential", "asks-too-often"}  # an error of their own
    assert stopped == by_themselves


@pytest.mark.parametrize("name", HIDDEN if len(TIERS) > 1 else [])
def test_namespaces_hold_alone(name: str, planted: dict[str, object]) -> None:
    """With the layers off that stopped it so far, what these attacks look for is still not there."""
    outcome, value, result = assault(ATTACKS[name][0], frozenset(SHOWN[name].split()), "linux-full", **planted)
    assert outcome is CRASH, result
    assert value == 0.0


def test_every_layer_is_shown_to_matter() -> None:
    """For every layer an attack succeeds when that layer alone is off; the identity only backs Landlock, and namespaces
    have a file of their own."""
    alone = {layers for layers in SHOWN.values() if " " not in layers}
    assert alone == EVERY_LAYER - {"identity"}


def test_late_violation_counts_against_a_block_of_one() -> None:
    """A message sent by a thread after the answer makes a single candidate a violation."""
    source = """
import os, threading, time
import numpy as np
def late():
    for _ in range(40):  # as many as on a busy machine come to less than the bound on messages
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
    """Patching NumPy, builtins and sys.modules changes nothing for the next candidate."""
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
