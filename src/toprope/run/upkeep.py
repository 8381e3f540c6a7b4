"""What lies where on this machine: the runs of a folder, caches, the vault; and a champion's files written out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from toprope import paths
from toprope.errors import RunError, UsageError
from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.tasks import registry
from toprope.types import Candidate


def caches() -> list[Path]:
    """Folders that are made anew when they are missing."""
    families = sorted({task_id.split("/")[0] for task_id in registry.installed()})
    elsewhere = [states for states in map(paths.states, families) if not states.is_relative_to(paths.cache())]
    return [paths.cache(), *(states for states in elsewhere if states.is_dir())]


def locations() -> dict[str, str]:
    """Where things lie, by what they are."""
    here = {"vault": str(paths.vault()), "runs": str(paths.RUNS.resolve())}
    return {**here, "caches": os.pathsep.join(map(str, caches())), "tasks": os.environ.get("TOPROPE_TASKS", "")}


def size(path: Path) -> int:
    """Bytes of the files in it, without following links."""
    return sum((Path(folder) / f).lstat().st_size for folder, _, files in os.walk(path) for f in files)


def listed(folder: Path) -> list[dict[str, Any]]:
    """{"path", "bytes", "what"} of the caches, the vault and the runs in a folder, those that are there."""
    found = [("cache", path) for path in caches()] + [("vault", paths.vault())]
    found += [("run", path) for path in run_folders(folder)]
    return [{"what": what, "path": str(path), "bytes": size(path)} for what, path in found if path.is_dir()]


def remove_caches() -> int:
    """Bytes that are free now."""
    freed = 0
    for path in caches():
        if path.is_dir() and not path.is_symlink():
            freed += size(path)
            shutil.rmtree(path)
    return freed


# ---------------------------------------------------------------- runs


def run_folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/ledger.db"))


def runs(folder: Path) -> list[dict[str, Any]]:
    """One row for each run in the folder, newest first; one that cannot be read says why."""
    rows = [_row(path) for path in run_folders(folder)]
    return sorted(rows, key=lambda r: -r["started"])


def _row(path: Path) -> dict[str, Any]:
    try:
        s = read(path)
    except RunError as e:
        empty = dict.fromkeys(("task", "climber", "champion", "value"))
        return {"run": str(path), **empty, "experiments": 0, "state": "unreadable", "why": str(e), "started": 0.0}
    best = s.test.champion if s.test is not None else s.measured
    return {
        "run": str(path),
        "task": s.opening.spec.task,
        "climber": s.opening.spec.climber.label,
        "experiments": s.experiments,
        "state": state(path, s),
        "champion": s.champion.id,
        "value": None if best is None else round(best.value, 4),
        "started": s.opening.started,
    }


def state(path: Path, s: RunHistory) -> str:
    """climbing: a process holds it. stopped: `resume` goes on. committed: waits for a beacon. unsealed: over."""
    if s.test is not None:
        return "unsealed"
    if _held(path / "lock"):
        return "climbing"
    return "committed" if s.committed is not None else "stopped"


def _held(lock: Path) -> bool:
    """Whether a process holds the lock; looked up, because trying it would be in a climb's way."""
    try:
        inode = lock.stat().st_ino
        return any(line.split()[5].endswith(f":{inode}") for line in Path("/proc/locks").read_text().splitlines())
    except (OSError, IndexError):
        return False


# ---------------------------------------------------------------- a champion's files


def write_candidate(candidate: Candidate, folder: Path) -> list[str]:
    """Writes files and params.json into a new or empty folder, as `toprope submit` takes them. The names come from a
    ledger, perhaps a stranger's: one that leads elsewhere is refused, and nothing is written."""
    for name in candidate.tree.files:
        if not _inside(name):
            raise RunError(f"the champion has a file with the name {name!r}, which is not one of a candidate")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder for the champion")
    files = dict(candidate.tree.files)
    if candidate.params:
        files["params.json"] = (json.dumps(candidate.params, indent=1) + "\n").encode()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return sorted(files)


def _inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    plain = name.isprintable() and "/".join(parts) == name and not name.startswith("/")
    return bool(parts) and plain and not {"..", "params.json"} & set(parts)
