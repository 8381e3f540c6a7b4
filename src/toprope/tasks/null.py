"""The null-skill twin of a task: the same draws with gold that no candidate can know. Any gain on it shows a leak.

`w2s/probe-v1~null` can be named wherever a task can, so that it tests the whole path: scorers, sandbox, gate, vault.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np

from toprope.protocols import Task
from toprope.types import Draw, Split


class NullTwin:
    """protocols.Task by delegation; only id and gold differ."""

    def __init__(self, task: Task, task_id: str) -> None:
        self._task = task
        self.spec = msgspec.structs.replace(task.spec, id=task_id)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """The task's own draw, with its gold replaced from a generator seeded by (split, index, seed)."""
        key = hashlib.sha256(f"null|{split}|{index}|{seed}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(key, dtype=np.uint32))
        return self._task.null(self._task.generate(split, index, seed), rng)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)
