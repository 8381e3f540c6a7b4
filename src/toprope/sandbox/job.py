"""What a sandbox is given and gives back, and the messages that tell a child (wire format: inside/candidate.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from toprope.protocols import Dialogue
from toprope.sandbox.frames import Window
from toprope.sandbox.memory import PublicMemory
from toprope.sandbox.process import SLOTS
from toprope.space import Space
from toprope.types import Codes, Incident, Limits, Outcome, Round


class QuestionRefused(Exception):
    """What a candidate hears instead of a model's reply."""


AnswerQuestion = Callable[[bytes, int], str]
"""A model's reply to a question as a child sent it, anything at all, up to MAX_QUESTION bytes, and the variant that
asks, by the child's word. Raises QuestionRefused."""

MAX_QUESTION = 1 << 20

# Of a long conversation, for the CPU backstop inside the child only; the scorer watches CPU per variant and round.
ROUNDS_MAX = 64


class Job(NamedTuple):
    """One author's work. rows: (k, p) levels of `space`. entries: names looked for. detail: error text (dev only).
    decoys: what to plant in the child's own process (inside/decoys.py); None: nothing. ask: answers what candidates ask
    a model; None: they have none to ask."""

    files: dict[str, bytes]
    space: Space
    rows: Codes
    entries: Sequence[str]
    detail: bool = False
    decoys: dict[str, Any] | None = None
    ask: AnswerQuestion | None = None


class Case(NamedTuple):
    """One draw: what the candidate sees, the seed of every `rng`, and the conversation about it."""

    public: PublicMemory
    seed: int
    dialogue: Callable[[frozenset[str]], Dialogue]


class JobResult(NamedTuple):
    """outcomes: k. messages: variant -> text, if the job asked for detail. cpu_s: children and zygote.
    incidents: variant -> what tripwires and decoys of the process saw, for the operator only."""

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
        "entries": list(job.entries),
        "detail": job.detail,
        "decoys": job.decoys,
        "model": job.ask is not None,
        "memory": (limits.memory_mb << 20) + SLOTS + max((c.public.size for c in cases), default=0),
        "cpu_s": min(math.ceil(limits.cpu_s * alive * max(len(cases), 1) * ROUNDS_MAX) + 1, 1 << 30),
    }
    return meta, bytes(blob)


def _sources(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    if "solution.py" not in files:
        return {**files, "solution.py": b""}  # no entries found: the dialogue says what is missing
    return files


def round_message(question: Round, window: Window) -> tuple[dict[str, Any], bytes]:
    inline, places, own = bytearray(), [], []
    for name, a in question.arrays.items():
        places.append([name, a.dtype.str, list(a.shape), len(inline)])
        inline += np.ascontiguousarray(a).tobytes()
    for name, a in question.own.items():
        own.append([name, a.dtype.str, list(a.shape[1:]), len(inline)])
        inline += np.ascontiguousarray(a[window.variants]).tobytes()
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
    return {"calls": calls, "n": len(window.variants), "arrays": places, "own": own}, bytes(inline)
