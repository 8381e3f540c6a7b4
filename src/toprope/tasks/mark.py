"""Digests of a task's behaviour: a run continues only with the task that it began with.

Behaviour decides: a few draws of every split, the starter, the search space, the baselines, and the numbers in
task.toml that scores depend on. The digest of the code does not decide, because a comment or a release may change it;
it helps to explain a difference. The draws are made from seeds that are not used for scores.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope.protocols import Task
from toprope.seeding import derive
from toprope.tasks.guarded import drawn
from toprope.types import Candidate, Split

DRAWS = 2
STEPS = 10_000  # resolution relative to an array's largest value; below it, linear algebra differs between machines
CODE = "code"
SUFFIXES = {".py", ".toml", ".json", ".npz"}


def of_task(task: Task) -> dict[str, str]:
    """name of a part -> digest, for the parts that need no draws."""
    baselines = {name: Candidate(b.tree, b.params).id for name, b in task.baselines().items()}
    spec, metric = task.spec, task.spec.metric
    numbers = [
        spec.splits,
        spec.limits,
        spec.entries,
        spec.model,
        spec.denied_imports,
        metric.clip,
        metric.dev_partial_credit,
    ]
    return {
        "starter": task.starter().digest,
        "search space": task.space.digest if task.space is not None else "",
        "baselines": digest(baselines),
        "splits, limits and metric": digest([msgspec.to_builtins(n) for n in numbers]),
        CODE: _code(task),
    }


def of_draws(task: Task, secrets: Mapping[Split, bytes]) -> dict[str, str]:
    """Digests of a few draws of every split in `secrets`, including private parts; for processes that may hold them."""
    found = {}
    for split, secret in secrets.items():
        seeds = [derive(secret, task.spec.id, split, "mark", i) for i in range(DRAWS)]
        found[f"{split} draws"] = digest([drawn(task, split, i, seed) for i, seed in enumerate(seeds)])
    return found


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts that both have and that differ, without the code."""
    return [name for name in then if name != CODE and name in now and then[name] != now[name]]


def changed(then: Mapping[str, str], now: Mapping[str, str], task_id: str) -> str:
    """One line about a task whose behaviour has changed; empty if it has not."""
    differ = differences(then, now)
    if not differ:
        return ""
    edited = CODE in then and then[CODE] != now.get(CODE)
    unedited = "its code was not changed; a package, a file that it reads or the vault's secret was"
    why = "its code was changed since" if edited else unedited
    return (
        f"task {task_id} has changed since the run began: {', '.join(differ)} differ ({why}); "
        "restore the old version, or begin a new run"
    )


def _code(task: Any) -> str:
    """The digest of the files in and below the folder of the task's class."""
    while hasattr(task, "_task"):  # a twin's own code is not the task's
        task = task._task
    folder = Path(inspect.getfile(type(task))).parent
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in SUFFIXES and p.is_file() and _of_task(p, folder)]
    return digest({p.relative_to(folder).as_posix(): p.read_bytes() for p in files})


def _of_task(path: Path, folder: Path) -> bool:
    """Whether a file belongs to the task: run directories, for example, may also lie in its folder."""
    parts = path.relative_to(folder).parts
    return not any(p.startswith(".") or p in ("__pycache__", "runs") for p in parts)


def digest(value: Any) -> str:
    feed = _Feed()
    feed.one(value)
    return feed.hash.hexdigest()


class _Feed:
    """Hashes every part of a value with its type; floats are rounded to steps coarser than rounding errors."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self._objects: list[Any] = []  # records already met, kept alive so that ids are not reused

    def one(self, value: Any) -> None:
        self.hash.update(f"{type(value).__name__}:".encode())
        if isinstance(value, float) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fc"):
            self._floats(np.asarray(value))
        elif isinstance(value, np.ndarray | np.generic) and value.dtype.kind != "O":
            self._bytes(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        elif isinstance(value, bytes | str):
            self._bytes(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, bool | int | None):
            self._bytes(str(value).encode())
        else:
            self._parts(self._split(value))

    def _split(self, value: Any) -> list[Any]:
        """The parts of a container or record, in an order that does not depend on the process."""
        if isinstance(value, Mapping):
            return [x for k in sorted(value, key=repr) for x in (k, value[k])]
        if isinstance(value, set | frozenset):
            return sorted(value, key=repr)
        if isinstance(value, list | tuple | np.ndarray):
            return list(value)
        if callable(value) or any(value is past for past in self._objects):  # records may be cyclic
            return []
        self._objects.append(value)
        names = getattr(value, "__struct_fields__", None) or getattr(value, "__dataclass_fields__", None)
        return [getattr(value, f) for f in names] if names else [getattr(value, "__dict__", {})]

    def _parts(self, parts: list[Any]) -> None:
        self.hash.update(f"{len(parts)}(".encode())
        for part in parts:
            self.one(part)

    def _bytes(self, data: bytes) -> None:
        self.hash.update(len(data).to_bytes(8, "big") + data)

    def _floats(self, values: np.ndarray[Any, Any]) -> None:
        flat = values.astype(np.complex128).ravel().view(np.float64)
        finite = np.where(np.isfinite(flat), flat, 0.0)
        largest = float(np.abs(finite).max(initial=0.0))
        scale = STEPS / 10 ** np.ceil(np.log10(largest)) if largest > 0 else 1.0
        steps = np.round(finite * scale).astype(np.int64)
        self._bytes(f"{values.dtype.str}{values.shape}".encode() + steps.tobytes() + np.isfinite(flat).tobytes())
