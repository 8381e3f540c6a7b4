"""Plays a shipped candidate in this process: for figures and tests of our own code.

It trusts the candidate, which the product never does: candidates of other people run in the sandbox.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

import numpy as np

from toprope.protocols import Outputs, Scripted, Task, has_script
from toprope.types import Call, Draw, Json, Tree


class _Files(MetaPathFinder, Loader):
    """Finds modules by name among the files of a tree."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if f"{fullname}.py" in self._files else None

    def exec_module(self, module: ModuleType) -> None:
        name = f"{module.__name__}.py"
        exec(compile(self._files[name], name, "exec"), vars(module))


def load(tree: Tree) -> ModuleType:
    """The module solution.py, a new one at every call; the tree's other files can be imported while it loads."""
    own = [name.removesuffix(".py") for name in tree.files]
    before = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    finder = _Files(tree.files)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("solution")
    finally:
        sys.meta_path.remove(finder)
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def outputs(task: Task, tree: Tree, draw: Draw, params: Mapping[str, Json] | None = None) -> Outputs:
    """The answers of one variant on a draw, as a scorer receives them: name -> (1, *shape)."""
    module = vars(load(tree))
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
