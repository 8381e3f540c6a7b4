"""Where this user's vault, caches and runs lie. The only place that computes them; each can be moved."""

from __future__ import annotations

import os
import time
from pathlib import Path

import platformdirs

RUNS = Path("runs")  # where a climb without --run makes its directory, below the working directory


def new_run(task: str) -> Path:
    """A directory for a run of this task, named by the time, that is not there yet."""
    first = RUNS / f"{task.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, n = first, 1
    while path.exists():
        n += 1
        path = first.with_name(f"{first.name}-{n}")
    return path


def vault() -> Path:
    """Where the referee's durable state lives: TOPROPE_VAULT, or the user's data directory."""
    return Path(os.environ.get("TOPROPE_VAULT") or platformdirs.user_data_path("toprope") / "vault")


def cache() -> Path:
    """toprope's own folder for files that are made again when they are missing (XDG_CACHE_HOME moves it)."""
    return platformdirs.user_cache_path("toprope")


def states(family: str) -> Path:
    """Where a family of tasks keeps the large arrays that it makes, such as a model's hidden states: in the cache, or
    below TOPROPE_CACHE, a folder that may hold other people's files too."""
    return Path(os.environ.get("TOPROPE_CACHE") or cache()) / family
