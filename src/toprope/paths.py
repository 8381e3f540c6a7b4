"""Where things of this user lie: the vault, caches, runs. Said once; each may be told to lie elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

RUNS = Path("runs")  # where a climb without --run makes its directory, below the working directory


def vault() -> Path:
    """Where the referee's durable state lives: TOPROPE_VAULT, or the user's data directory."""
    return Path(os.environ.get("TOPROPE_VAULT") or platformdirs.user_data_path("toprope") / "vault")


def cache() -> Path:
    """A folder of our own for what is made anew when it is missing (XDG_CACHE_HOME moves it)."""
    return platformdirs.user_cache_path("toprope")


def states(family: str) -> Path:
    """Where a family of tasks keeps large arrays that it makes, such as a model's hidden states: in the cache, or in
    TOPROPE_CACHE, which may hold other people's things, too."""
    return Path(os.environ.get("TOPROPE_CACHE") or cache()) / family
