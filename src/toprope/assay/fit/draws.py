"""Draws made in this process: whether they repeat, the gap between floor and ceiling, the cost of a draw."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from toprope.assay.fit.row import Check
from toprope.protocols import Task
from toprope.seeding import derive
from toprope.tasks.guarded import drawn
from toprope.types import Draw, Split

ROOM, REPEATED = 48, 3  # hidden draws for anchors and null answers; draws made twice


def draw_of(task: Task, split: Split, index: int, why: str) -> Draw:
    """One draw with a seed of its own, as in a run, so that a task need not mix the index into it."""
    return drawn(task, split, index, derive(why.encode(), split, index))


def repeats(task: Task) -> Check:
    """Whether a draw made again, after others, has the same bytes, including gold."""

    def made(split: Split, index: int) -> bytes:
        d = draw_of(task, split, index, "repeats")
        return pickle.dumps((d.public, _arrays(d.private), d.floor, d.ceiling, d.group))

    wanted: list[tuple[Split, int]] = [(s, i) for s in ("dev", "measure") for i in range(REPEATED)]
    first = {name: made(*name) for name in wanted}
    other = sum(first[name] != made(*name) for name in reversed(wanted))
    return Check("draws repeat", other == 0, other, 0, "a draw is a function of split, index and seed: verify needs it")


def _arrays(private: Any) -> Any:
    """A private part in a form whose bytes can be compared."""
    return msgspec.structs.astuple(private) if isinstance(private, msgspec.Struct) else private


def anchors(task: Task) -> Iterator[Check]:
    """The gap between floor and ceiling, and the size and cost of a draw."""
    began = time.process_time()
    draws = [draw_of(task, "measure", i, "anchors") for i in range(ROOM)]
    each = 1000 * (time.process_time() - began) / len(draws)
    yield _gap(np.array([d.ceiling - d.floor for d in draws]))
    size = max(sum(a.nbytes for a in d.public.values()) for d in draws) / 2**20
    room = task.spec.limits.memory_mb / 4
    yield Check(
        "draw size", size <= room, round(size, 2), room, "MiB that a candidate gets; at most a quarter of its memory"
    )
    yield Check("draw cost", each <= 1000, round(each, 1), 1000, "CPU ms to generate one: hidden slices take hundreds")


def _gap(gaps: np.ndarray[Any, Any]) -> Check:
    z = gaps.mean() / max(gaps.std(ddof=1) / math.sqrt(len(gaps)), 1e-12)
    why = f"mean gap {gaps.mean():.3f} in its standard errors"
    if not gaps.any():
        why = "the ceiling is the floor on every draw: no answer has a value; set it to what a perfect answer scores"
    elif gaps.mean() < 0:
        why = f"the ceiling is {-gaps.mean():.3f} below the floor on average; exchange them: higher scores are better"
    elif n := int((gaps <= 0).sum()):
        why += f"; {n} of {len(gaps)} draws have no gap, so they add only noise"
    return Check("gap", bool(z >= 5), round(max(-1e6, min(z, 1e6)), 1), 5, why)
