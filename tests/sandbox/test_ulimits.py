"""What a shell's `ulimit` takes away is told as what it is, and never ends as a candidate's outcome."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from kit import TIERS, play

from toprope.errors import MachineFault
from toprope.sandbox import ulimits
from toprope.sandbox.box import Sandbox
from toprope.types import Limits

pytestmark = pytest.mark.e2e

STARTER = Path(ulimits.__file__).parents[2] / "toprope_tasks" / "w2s" / "starter"


def shell(ulimit: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs it below a shell that has set this limit for good."""
    return subprocess.run(
        ["bash", "-c", f'ulimit {ulimit} && exec "$@"', "-", sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.mark.parametrize(
    ("ulimit", "needed"),
    [
        ("-v 400000", "917504"),
        ("-d 100000", "917504"),
        ("-n 64", "1024"),
        ("-n 32", "1024"),
        ("-t 2", "3600"),
        ("-f 1000", "262144"),
        ("-s 128", "1024"),
        ("-u 10", "64"),
    ],
)
def test_a_limit_that_is_too_low_is_named_before_anything_is_scored(ulimit: str, needed: str) -> None:
    """The command ends with one line that names the limit, its value, what is needed and the remedy, and exit code 2:
    the walls may hold, it is the environment that has to be changed."""
    if ulimit == "-u 10" and os.geteuid():
        needed = "more than there are"
    done = shell(ulimit, "-m", "toprope.cli", "submit", "w2s/probe-v1", str(STARTER))
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    option, value = ulimit.split()
    assert line.startswith(f"toprope: `ulimit {option}` is {value}, needed are ")
    assert needed in line
    assert f"or `ulimit {option} unlimited`" in line


def test_the_doctor_has_a_row_for_them() -> None:
    """`toprope doctor` names a limit that is too low as what has to be mended, and draws no other conclusion."""
    done = shell("-v 400000", "-m", "toprope.cli", "doctor", "--json")
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert told["tier"] == "none"
    assert list(told["layers"]) == ["ulimit"]
    assert "`ulimit -v` is 400000" in told["layers"]["ulimit"]["detail"]


def test_a_low_soft_limit_of_files_is_raised_and_the_stack_is_the_usual_one() -> None:
    """Where the hard limit allows it nobody has to do anything: files are raised, and threads get the same stack
    whatever the shell gave."""
    code = (
        "import resource as r; from toprope.sandbox import ulimits; ulimits.require();"
        "print(r.getrlimit(r.RLIMIT_NOFILE)[0], r.getrlimit(r.RLIMIT_STACK)[0])"
    )
    done = shell("-Sn 64 && ulimit -Ss unlimited", "-c", code)
    files, stack = map(int, done.stdout.split())
    assert files >= ulimits.FILES
    assert stack == ulimits.STACK


BIG = """
import numpy as np, sys
from toprope.errors import MachineFault
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Round
def ask(entries):
    return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (1,)),)),)))
with Sandbox(Limits(memory_mb=512)) as sandbox, PublicMemory.of({"x": np.zeros(40_000_000)}) as public:
    job = Job({"solution.py": b""}, Space([Dim("a", [0])]), np.zeros((1, 1), np.uint8), ["f"])
    try:
        sys.exit(f"outcome {sandbox.run(job, [Case(public, 0, ask)], lambda *_: None)}")
    except MachineFault as e:
        print(e)
"""


def test_a_child_that_cannot_be_set_up_is_no_crash() -> None:
    """A child whose own limits cannot be set ends the work as the machine's fault; its candidate gets no outcome."""
    done = shell("-v 1000000", "-c", BIG)
    assert done.returncode == 0, done
    assert "cannot be set up here: ValueError: not allowed to raise maximum limit" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user could not start the zygote either")
@pytest.mark.parametrize("tier", TIERS)
def test_a_fork_that_fails_is_no_crash(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel makes no more processes the work ends as the machine's fault; its candidate gets no outcome."""
    monkeypatch.setattr(ulimits, "require", lambda _: None)  # it would say so at the start
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
    try:
        with Sandbox(Limits(), tier=tier) as sandbox:
            if sandbox.protection["uid"] == 0:
                pytest.skip("the kernel does not count root's processes")
            with pytest.raises(MachineFault, match="cannot start a process for a candidate"):
                play("def f(x):\n    return [1.0]\n", sandbox=sandbox)
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
