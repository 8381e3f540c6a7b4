"""A task's own code, called so that what it does wrong ends in one line and spoils no run.

A candidate may meet a bug of a task on purpose: what fails for one variant must not end the run for all. So an
exception of `score`, `dialogue`, `agreement` or `tally` is a `TaskFailed`, and the scorer plays each variant of the
block alone; a score that no ledger can hold makes its own variant invalid. A draw that cannot be made, or that makes no
value, is the task's fault alone and ends the run at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from toprope.errors import TopropeError, UsageError
from toprope.protocols import Dialogue, Outputs, Task
from toprope.types import Draw, Floats, Split

LARGEST = 1e9  # of a score, floor or ceiling: float32 holds it, and values made of it can be added up and written
EXPECTED = f"expected a finite number between -{LARGEST:g} and {LARGEST:g}"

T = TypeVar("T")


class TaskFailed(Exception):
    """The task's code failed on what candidates had answered, in a way that may be the answer's doing."""


def scores(task: Task, outputs: Outputs, draw: Draw, k: int) -> tuple[Floats, dict[int, str]]:
    """(k,) scores, NaN for variants whose score cannot be written down, and why not. Raises TaskFailed."""
    given = calling(task, "score", lambda: np.asarray(task.score(outputs, draw)))
    if given.shape != (k,) or given.dtype.kind not in "biuf":
        what = f"{given.dtype} of shape {given.shape}"
        raise TaskFailed(f"score() of {task.spec.id} gave {what}; expected one real number a variant, shape ({k},)")
    good = np.abs(given) <= LARGEST  # NaN is not
    why = {i: f"score() of {task.spec.id} gave {given[i]:g}; {EXPECTED}" for i in np.flatnonzero(~good).tolist()}
    return np.where(good, given.astype(np.float64), np.nan), why


def calling(task: Task, name: str, call: Callable[[], T]) -> T:
    """What the call gives. Raises TaskFailed for any exception but our own."""
    try:
        return call()
    except TopropeError:
        raise
    except Exception as e:
        raise TaskFailed(f"{name}() of {task.spec.id} failed: {said(e)}") from e


def speaking(task: Task, dialogue: Dialogue) -> Dialogue:
    """The same conversation. What the task raises before its first question is its word on the candidate's functions
    (ValueError). Raises TaskFailed for an exception after that."""
    question = next(dialogue)
    while True:
        answers = yield question
        try:
            question = dialogue.send(answers)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except TopropeError:
            raise
        except Exception as e:
            raise TaskFailed(f"dialogue() of {task.spec.id} failed: {said(e)}") from e


def said(e: Exception) -> str:
    """Kind and text of an exception, bounded, and as UTF-8 can write it: a message may hold half a character."""
    return f"{type(e).__name__}: {e}"[:400].encode("utf-8", "replace").decode()


def drawn(task: Task, split: Split, index: int, seed: int) -> Draw:
    """The draw. Raises UsageError for one that cannot be made, or whose floor or ceiling makes no value. On hidden
    splits the message does not quote what the task said, which may know the draw."""
    name = f"draw {index} of {split} of task {task.spec.id}"
    try:
        draw = task.generate(split, index, seed)
        anchors: dict[str, Any] = {"floor": float(draw.floor), "ceiling": float(draw.ceiling)}
    except TopropeError:
        raise
    except Exception as e:
        why = said(e) if split == "dev" else type(e).__name__
        raise UsageError(f"{name} cannot be made: {why}; mend generate() in its task.py") from e
    for what, value in anchors.items():
        if not abs(value) <= LARGEST:
            shown = f" {value:g}" if split == "dev" or not math.isfinite(value) else ""
            raise UsageError(f"{name} has a {what}{shown}; {EXPECTED}; mend generate() in its task.py")
    return draw
