"""Copies its run directory and continues original and copies, to have its attempts twice.

Source: corpus row T50; a copy per try.
"""

import shutil

CLASS = "C10"
MEETS = "counting"
EXPECT = "no gain | rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    """Whoever continues: the vault knows the run, and the same question has the same number and answer."""
    run = rig.folder / "original"
    rig.run(run, experiments=300, kill_after=1)
    for i in range(2):
        shutil.copytree(run, rig.folder / f"copy-{i}")
    rig.cli("resume", run, "--workers", 1, "--json")
    before = rig.attempts_of(run)
    for i in range(2):
        rig.cli("resume", rig.folder / f"copy-{i}", "--workers", 1, "--json")
    return None if rig.attempts_of(run) == before else f"{rig.attempts_of(run) - before} attempts more by copying"
