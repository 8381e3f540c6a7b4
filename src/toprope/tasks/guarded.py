"""Calls a task's own code so that its errors become one line and do not end a run without need.

A candidate may trigger a bug of a task on purpose, so a failure for one variant must not end the run for all. An
exception of `score`, `dialogue`, `agreement` or `tally` becomes `TaskFailed`, and the scorer then plays each variant of
the block separately; a score that a ledger cannot hold makes its variant invalid. A draw that cannot be made, or that
gives no value, can only be the task's fault and ends the run at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from toprope.errors import TopropeError, UsageError
from toprope.protocols import Dialogue, Outputs, Task
from toprope.types import Draw, Floats, Split

LARGEST = 1e9  # of a score, floor or ceiling: float32 holds it, and values made from it can be summed and stored
EXPECTED = f"expected a finite number between -{LARGEST:g} and {LARGEST:g}"

T = TypeVar("T")


class TaskFailed(Exception):
    """The task's code failed on candidates' answers, which may have caused the failure."""


def scores(task: Task, outputs: Outputs, draw: Draw, k: int) -> tuple[Floats, dict[int, str]]:
    """(k,) scores, NaN where a ledger cannot hold the score, and variant -> why. Raises TaskFailed."""
    given = calling(task, "score", lambda: np.asarray(task.score(outputs, draw)))
    if given.shape != (k,) or given.dtype.kind not in "biuf":
        what = f"{given.dtype} of shape {given.shape}"
        raise TaskFailed(f"score() of {task.spec.id} gave {what}; expected one real number per variant, shape ({k},)")
    good = np.abs(given) <= LARGEST  # NaN is not
    why = {i: f"score() of {task.spec.id} gave {given[i]:g}; {EXPECTED}" for i in np.flatnonzero(~good).tolist()}
    return np.where(good, given.astype(np.float64), np.nan), why


def calling(task: Task, name: str, call: Callable[[], T]) -> T:
    """The result of the call. Raises TaskFailed for any exception but TopropeError."""
    try:
        return call()
    except TopropeError:
        raise
    except Exception as e:
        raise TaskFailed(f"{name}() of {task.spec.id} failed: {said(e)}") from e


def speaking(task: Task, dialogue: Dialogue) -> Dialogue:
    """The same conversation. Before its first question the task may raise ValueError about the candidate's functions,
    which passes through. Raises TaskFailed for an exception after that."""
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
    """Class and text of an exception, cut to 400 characters, with lone surrogates replaced."""
    return f"{type(e).__name__}: {e}"[:400].encode("utf-8", "replace").decode()


def drawn(task: Task, split: Split, index: int, seed: int) -> Draw:
    """The draw. Raises UsageError for a draw that cannot be made, or whose floor or ceiling is not usable. On hidden
    splits the message does not quote the task's exception, which may reveal the draw."""
    name = f"draw {index} of {split} of task {task.spec.id}"
    try:
        draw = task.generate(split, index, seed)
        anchors: dict[str, Any] = {"floor": float(draw.floor), "ceiling": float(draw.ceiling)}
    except TopropeError:
        raise
    except Exception as e:
        why = said(e) if split == "dev" else type(e).__name__
        raise UsageError(f"{name} cannot be made: {why}; repair generate() in its task.py") from e
    for what, value in anchors.items():
        if not abs(value) <= LARGEST:
            shown = f" {value:g}" if split == "dev" or not math.isfinite(value) else ""
            raise UsageError(f"{name} has a {what}{shown}; {EXPECTED}; repair generate() in its task.py")
    return draw
