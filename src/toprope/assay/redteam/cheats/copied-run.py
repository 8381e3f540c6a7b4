"""Copies its run directory and continues original and copies, to have its attempts twice.

Source: corpus row T50; a copy per try.
"""

import shutil

from toprope.errors import RunError

CLASS = "C10"
MEETS = "counting"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    """Every session has a number, and the copies present an old one. Attempts from them do not count either."""
    run = rig.folder / "original"
    rig.run(run, experiments=300, kill_after=1)
    for i in range(2):
        shutil.copytree(run, rig.folder / f"copy-{i}")
    rig.cli("resume", run, "--workers", 1, "--json")
    before = rig.attempts_of(run)
    copies = [rig.cli("resume", rig.folder / f"copy-{i}", "--workers", 1, "--json") for i in range(2)]
    if rig.attempts_of(run) != before:
        return f"{rig.attempts_of(run) - before} attempts more by copying"
    if any(done.returncode != 2 or "this is a copy of run" not in done.stderr for done in copies):
        return "a copy of a run was continued"
    raise RunError(copies[0].stderr.strip())


def twin(rig):
    """A run that was killed and never copied goes on."""
    run = rig.folder / "killed"
    rig.run(run, experiments=300, kill_after=1)
    return None if rig.cli("resume", run, "--workers", 1, "--json").returncode == 0 else "a killed run did not resume"
