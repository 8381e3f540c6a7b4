"""Plays candidates of the control tasks in this process, in blocks: for studies and tests of our own code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

import numpy as np

from toprope.protocols import Outputs, Task
from toprope.sandbox.inside.calls import BATCHED, column
from toprope.space import Space
from toprope.types import Codes, Draw, Floats, Json, Tree


def outputs(task: Task, tree: Tree, draw: Draw, variants: Sequence[Mapping[str, Json]] = ({},)) -> Outputs:
    """What a block of variants comes to, as the scorer would receive it."""
    module: dict[str, object] = {}
    exec(compile(tree.files["solution.py"], "solution.py", "exec"), module)
    dialogue = task.dialogue(draw, frozenset(e for e in task.spec.entries if e in module))
    step = next(dialogue)
    (call,) = step.calls
    function, (answer,) = module[call.fn], call.returns
    accepted = inspect.signature(function).parameters  # type: ignore[arg-type]
    states: list[object] = [None] * len(variants)
    try:
        while True:
            said = []
            for i, params in enumerate(variants):
                known = {**draw.public, **step.arrays, **{name: rows[i] for name, rows in step.own.items()}}
                extra = {"params": dict(params), "rng": np.random.default_rng(0), **known}
                kwargs = {k: v for k, v in extra.items() if k in accepted and k not in call.args}
                given = [states[i] if name == call.keep else known[name] for name in call.args]
                value, states[i] = function(*given, **kwargs)  # type: ignore[operator]
                assert np.shape(value) == answer.shape
                assert np.min(value) >= answer.low
                assert np.max(value) <= answer.high
                said.append(value)
            step = dialogue.send({answer.name: np.array(said)})
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def batched(task: Task, tree: Tree, draw: Draw, space: Space, rows: Codes) -> Outputs:
    """The same by the batched form of the entry point, for (k, p) rows of codes."""
    module: dict[str, object] = {}
    exec(compile(tree.files["solution.py"], "solution.py", "exec"), module)
    dialogue = task.dialogue(draw, frozenset(task.spec.entries))
    step = next(dialogue)
    states: Sequence[object] = [None] * len(rows)
    (call,) = step.calls
    params = {dim.name: column(dim.levels)[rows[:, i]] for i, dim in enumerate(space.dims)}
    function = module[call.fn + BATCHED]
    accepted = inspect.signature(function).parameters  # type: ignore[arg-type]
    try:
        while True:
            known = {**draw.public, **step.arrays, **step.own}
            given = [states if name == call.keep else known[name] for name in call.args]
            named = {name: known[name] for name in call.kwargs if name in accepted}
            said, states = function(*given, params=params, **named)  # type: ignore[operator]
            step = dialogue.send({call.returns[0].name: np.asarray(said)})
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def scores(task: Task, tree: Tree, draws: Sequence[Draw], variants: Sequence[Mapping[str, Json]] = ({},)) -> Floats:
    """(n, k) score per draw and variant."""
    return np.array([task.score(outputs(task, tree, d, variants), d) for d in draws])
