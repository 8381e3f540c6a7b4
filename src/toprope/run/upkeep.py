"""What toprope keeps on this machine: runs, caches, the vault. Also writes a champion's files to a folder."""

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
    """Folders whose contents are made again when they are missing."""
    families = sorted({task_id.split("/")[0] for task_id in registry.installed()})
    elsewhere = [states for states in map(paths.states, families) if not states.is_relative_to(paths.cache())]
    return [paths.cache(), *(states for states in elsewhere if states.is_dir())]


def locations() -> dict[str, str]:
    """name -> path of the vault, the runs, the caches and the user's tasks."""
    here = {"vault": str(paths.vault()), "runs": str(paths.RUNS.resolve())}
    return {**here, "caches": os.pathsep.join(map(str, caches())), "tasks": os.environ.get("TOPROPE_TASKS", "")}


def size(path: Path) -> int:
    """Bytes of the files in it, without following links."""
    return sum((Path(folder) / f).lstat().st_size for folder, _, files in os.walk(path) for f in files)


def listed(folder: Path) -> list[dict[str, Any]]:
    """{"path", "bytes", "what"} of each existing cache, the vault and the runs in a folder."""
    found = [("cache", path) for path in caches()] + [("vault", paths.vault())]
    found += [("run", path) for path in run_folders(folder)]
    return [{"what": what, "path": str(path), "bytes": size(path)} for what, path in found if path.is_dir()]


def remove_caches() -> int:
    """Removes the caches, and returns the number of bytes freed."""
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
    """One row per run in the folder, newest first; the row of an unreadable run says why."""
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
    """climbing: a process holds it. stopped: `toprope resume` continues it. committed: its test is not open yet.
    unsealed: the run is over."""
    if s.test is not None:
        return "unsealed"
    if held(path):
        return "climbing"
    return "committed" if s.committed is not None else "stopped"


def held(path: Path) -> bool:
    """Whether a process holds the run. Its lock is looked up, because trying to take it could disturb a climb."""
    try:
        inode = (path / "lock").stat().st_ino
        return any(line.split()[5].endswith(f":{inode}") for line in Path("/proc/locks").read_text().splitlines())
    except (OSError, IndexError):
        return False


# ---------------------------------------------------------------- a champion's files


def write_candidate(candidate: Candidate, folder: Path) -> list[str]:
    """Writes files and params.json into a new or empty folder, in the form that `toprope submit` takes; returns the
    names. They come from a ledger, which may be hostile. Raises RunError, and writes nothing, for a name that leads
    out of the folder."""
    for name in candidate.tree.files:
        if not _inside(name):
            raise RunError(f"the champion has a file named {name!r}; expected a plain relative path")
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
