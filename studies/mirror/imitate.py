"""Plays mirror candidates in this process, without a sandbox: for studies and tests of our own code."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from toprope.protocols import Outputs
from toprope.types import Draw, Floats, Json, Split
from toprope_tasks.mirror import packing
from toprope_tasks.mirror.instance import Instance
from toprope_tasks.mirror.packing import ProgramAnswer
from toprope_tasks.mirror.suite import WIDTH
from toprope_tasks.mirror.task import Mirror

PROGRAMS = ("rpn", "calgrid")
OWN = Instance("private dialect of the tests", b"the secret of the mirror tests..")


@cache
def task(name: str, own: Instance = OWN) -> Mirror:
    module = importlib.import_module(f"toprope_tasks.mirror.{name}.task")
    made: Mirror = getattr(module, name.capitalize())(f"mirror/{name}-v1", own)
    return made


@cache
def draws(name: str, split: Split, n: int) -> list[Draw]:
    return [task(name).generate(split, i, 1000 + i) for i in range(n)]


def outputs(main: Any, draw: Draw, params: Mapping[str, Json] | None = None) -> Outputs:
    """One variant's packed answers, (1, cases, width)."""
    kwargs = {} if params is None else {"params": dict(params)}
    said = [ProgramAnswer(*main(list(c.argv), c.stdin, dict(c.files), **kwargs)) for c in draw.private.cases]
    return {"answers": np.stack([packing.row(a, WIDTH) for a in said])[None]}


def scores(t: Mirror, main: Any, drawn: list[Draw], params: Mapping[str, Json] | None = None) -> Floats:
    return np.array([t.score(outputs(main, d, params), d)[0] for d in drawn])


def reference(t: Mirror) -> Any:
    return lambda argv, stdin, files: t.run_program(argv, stdin, files)


def answered(name: str) -> dict[str, Json]:
    """The sketch's questions, all answered rightly."""
    t = task(name)
    assert t.space is not None
    return {d.name: getattr(t.dialect, d.name) for d in t.space.dims}
