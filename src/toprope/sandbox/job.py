"""Input and output of a sandbox, and the messages to a child (wire format: inside/channel.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from toprope.protocols import Dialogue
from toprope.sandbox.frames import Window
from toprope.sandbox.inside.calls import BATCHED
from toprope.sandbox.memory import PublicMemory
from toprope.sandbox.process import SLOTS
from toprope.space import Space
from toprope.types import Codes, Incident, Limits, Outcome, Round


class QuestionRefused(Exception):
    """The message that a candidate gets instead of a model's reply."""


AnswerQuestion = Callable[[bytes, int], str]
"""(question, variant) -> a model's reply. question: hostile bytes from a child, at most MAX_QUESTION. variant: the one
that asks, according to the child. Raises QuestionRefused."""

MAX_QUESTION = 1 << 20

# Rounds of a long conversation, for the CPU backstop in the child only; the scorer checks CPU per variant and round.
ROUNDS_MAX = 64


class Job(NamedTuple):
    """One author's work. rows: (k, p) levels of `space`. entries: names to look for. detail: return error text (dev
    only). decoys: the plan for the child's process (inside/decoys.py); None: no decoys. ask: answers questions to a
    model; None: candidates may not ask."""

    files: dict[str, bytes]
    space: Space
    rows: Codes
    entries: Sequence[str]
    detail: bool = False
    decoys: dict[str, Any] | None = None
    ask: AnswerQuestion | None = None


class Case(NamedTuple):
    """One draw: its public part, the seed of every `rng`, and the dialogue about it."""

    public: PublicMemory
    seed: int
    dialogue: Callable[[frozenset[str]], Dialogue]


class JobResult(NamedTuple):
    """outcomes: one per variant. messages: variant -> text, if the job asked for detail. cpu_s: of children and zygote.
    incidents: variant -> incidents of tripwires and the process's decoys, for the operator only."""

    outcomes: list[Outcome]
    messages: dict[int, str]
    cpu_s: float
    wall_s: float
    incidents: dict[int, list[Incident]]


def job_message(job: Job, cases: Sequence[Case], limits: Limits, alive: int) -> tuple[dict[str, Any], bytes]:
    rows = np.ascontiguousarray(job.rows, np.uint8)
    blob, files = bytearray(rows.tobytes()), []
    for name, data in _sources(job.files).items():
        files.append([name, len(blob), len(blob) + len(data)])
        blob += data
    meta = {
        "files": files,
        "levels": [[d.name, d.levels] for d in job.space.dims],
        "rows": list(rows.shape),
        "entries": wanted(job.entries),
        "detail": job.detail,
        "decoys": job.decoys,
        "model": job.ask is not None,
        "memory": (limits.memory_mb << 20) + SLOTS + max((c.public.size for c in cases), default=0),
        "cpu_s": min(math.ceil(limits.cpu_s * alive * max(len(cases), 1) * ROUNDS_MAX) + 1, 1 << 30),
    }
    return meta, bytes(blob)


def wanted(entries: Sequence[str]) -> list[str]:
    """Names that a child looks for: the entry points, then their batched forms."""
    return [*entries, *(name + BATCHED for name in entries)]


def _sources(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    if "solution.py" not in files:
        return {**files, "solution.py": b""}  # without entries; the dialogue says what is missing
    return files


def round_message(question: Round, window: Window, batched: bool) -> tuple[dict[str, Any], bytes]:
    """batched: the functions' batched forms are called, once for all variants of the window. Arrays are copied once,
    into the blob."""
    pieces: list[Any] = [np.ascontiguousarray(window.variants), np.ascontiguousarray(window.nonces)]
    places, own, size = [], [], 0
    for name, a in question.arrays.items():
        places.append([name, a.dtype.str, list(a.shape), size])
        size += a.nbytes
        pieces.append(np.ascontiguousarray(a))
    for name, a in question.own.items():
        everyone = len(window.variants) == len(a)  # in order, because a window is a part of the variants in order
        mine = np.ascontiguousarray(a if everyone else a[window.variants])
        own.append([name, a.dtype.str, list(a.shape[1:]), size])
        size += mine.nbytes
        pieces.append(mine)
    calls = [
        {
            "fn": c.fn,
            "args": c.args,
            "kwargs": c.kwargs,
            "returns": [(a.name, a.dtype, a.shape) for a in c.returns],
            "keep": c.keep,
            "each": c.each,
            "texts": c.texts,
            "items": c.items,
        }
        for c in question.calls
    ]
    meta = {"calls": calls, "n": len(window.variants), "arrays": places, "own": own, "batched": batched}
    return meta, b"".join([piece.reshape(-1).view(np.uint8) for piece in pieces])
