"""Plays a shipped candidate in this process: for figures and tests of our own code.

It trusts the candidate, which the product never does: other people's go through the sandbox.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from toprope.protocols import Outputs, Scripted, Task, has_script
from toprope.types import Call, Draw, Json, Tree


def outputs(task: Task, tree: Tree, draw: Draw, params: Mapping[str, Json] | None = None) -> Outputs:
    """What one variant answers on a draw, as the scorer would receive it: name -> (1, *shape)."""
    module: dict[str, Any] = {}
    exec(compile(tree.files["solution.py"], "solution.py", "exec"), module)
    dialogue = task.dialogue(draw, frozenset(e for e in task.spec.entries if e in module))
    kept: dict[str, Any] = {}
    question = next(dialogue)
    while True:
        answer: Outputs = {}
        for call in question.calls:
            known = {**draw.public, **question.arrays, **kept}
            extra: dict[str, Any] = {"params": dict(params or {}), "rng": np.random.default_rng(0)}
            if has_script(task):
                extra["model"] = partial(_reply, task)
            answer |= _answered(module[call.fn], call, known, extra, kept)
        try:
            question = dialogue.send(answer)
        except StopIteration as end:
            return dict(end.value)


def _reply(task: Scripted, messages: list[dict[str, str]], sample: int = 0) -> str:
    """The task's script in place of the model that the referee would ask."""
    return task.scripted([(m["role"], m["content"]) for m in messages], sample)


def _answered(
    fn: Callable[..., Any], call: Call, known: dict[str, Any], extra: dict[str, Any], kept: dict[str, Any]
) -> Outputs:
    accepted = inspect.signature(fn).parameters
    extra = {**{n: known[n] for n in call.kwargs}, **extra}
    known = {**known, **{name: json.loads(known[name].tobytes()) for name in call.texts}}
    given = [known[a] for a in call.args]
    named = {k: v for k, v in extra.items() if k in accepted}
    if call.items is None:
        value = fn(*given, **named)
    else:
        value = [fn(*given, *item, **named) for item in json.loads(known[call.items].tobytes())]
    if call.keep is not None:
        kept[call.keep] = value
    if not call.returns:
        return {}
    parts = (value,) if len(call.returns) == 1 else value
    return {a.name: np.asarray(v, dtype=a.dtype).reshape(1, *a.shape) for a, v in zip(call.returns, parts, strict=True)}
