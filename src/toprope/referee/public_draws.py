"""Writes the public part of a few dev draws to files, for people and researchers who write candidates.

It runs in a process of its own, so that the caller never holds the private parts. `python -m
toprope.referee.public_draws TASK SEED N FOLDER` writes FOLDER/draw-0.npz and so on, the arrays that candidates get on
these draws, and below FOLDER/brief the task's own documents for authors.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from toprope import wire
from toprope.errors import RunError
from toprope.protocols import imitation
from toprope.referee.draws import DrawStore, practice
from toprope.seeding import dev_secret
from toprope.tasks import registry


def hand_out(task_id: str, seed: int, draws: int, folder: Path) -> None:
    """Runs this module in a new process. Raises RunError if it fails."""
    argv = wire.command("toprope.referee.public_draws", task_id, seed, draws, folder)
    done = subprocess.run(argv, capture_output=True, text=True, env=wire.child_environment(), check=False)
    if done.returncode:
        raise RunError(f"the dev draws of {task_id} could not be written: {done.stderr.strip()[-400:]}")


def main() -> None:
    task_id, seed, draws, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    task = registry.load(task_id)
    task.prepare("dev", lambda *_: None)
    store = DrawStore(task, {"dev": dev_secret(seed)})
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(draws):
        arrays: dict[str, Any] = store.get("dev", 0, i).draw.public
        np.savez(folder / f"draw-{i}.npz", **arrays)
    store.close()
    if imitation(task):
        for name, data in task.brief(practice(task, dev_secret(seed))).items():
            path = folder / "brief" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


if __name__ == "__main__":
    main()
