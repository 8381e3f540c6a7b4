"""Runs a mirror candidate here, without a sandbox (tests only), and keeps what the tests of the family share."""

import importlib
import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from toprope.protocols import Outputs
from toprope.types import Draw, Floats, Json, Tree
from toprope_tasks.mirror import packing
from toprope_tasks.mirror.instance import Instance
from toprope_tasks.mirror.packing import Answer
from toprope_tasks.mirror.suite import WIDTH
from toprope_tasks.mirror.task import Mirror

PROGRAMS = ("rpn", "calgrid")
OWN = Instance("private dialect of the tests", b"the secret of the mirror tests..")


@cache
def task(name: str, own: Instance = OWN) -> Mirror:
    module = importlib.import_module(f"toprope_tasks.mirror.{name}.task")
    return getattr(module, name.capitalize())(f"mirror/{name}-v1", own)


@cache
def draws(name: str, split: str, n: int) -> list[Draw]:
    return [task(name).generate(split, i, 1000 + i) for i in range(n)]


def load(tree: Tree) -> Any:
    """The module solution.py, with the tree's other files importable while it loads."""
    before = {k: sys.modules.get(k) for k in ("words", "solution")}
    try:
        for name in ("words", "solution"):
            if f"{name}.py" in tree.files:
                module = sys.modules[name] = types.ModuleType(name)
                exec(compile(tree.files[f"{name}.py"], f"{name}.py", "exec"), module.__dict__)
        return sys.modules["solution"]
    finally:
        for k, old in before.items():
            sys.modules.pop(k, None)
            if old is not None:
                sys.modules[k] = old


def outputs(main: Any, draw: Draw, params: Mapping[str, Json] | None = None) -> Outputs:
    """One variant's packed answers, (1, cases, width)."""
    kwargs = {} if params is None else {"params": dict(params)}
    said = [Answer(*main(list(c.argv), c.stdin, dict(c.files), **kwargs)) for c in draw.private.cases]
    return {"answers": np.stack([packing.row(a, WIDTH) for a in said])[None]}


def scores(t: Mirror, main: Any, drawn: list[Draw], params: Mapping[str, Json] | None = None) -> Floats:
    return np.array([t.score(outputs(main, d, params), d)[0] for d in drawn])


def reference(t: Mirror) -> Any:
    return lambda argv, stdin, files: t.ask(argv, stdin, files)


def answered(name: str) -> dict[str, Json]:
    """The sketch's questions, all answered rightly."""
    t = task(name)
    assert t.space is not None
    return {d.name: getattr(t.dialect, d.name) for d in t.space.dims}
