"""Runs a candidate's dialogue in this process. Tests only: it trusts the candidate, which the product never does."""

import inspect
from collections.abc import Mapping

import numpy as np

from toprope.protocols import Outputs, Task
from toprope.types import Draw, Floats, Json, Tree


def outputs(task: Task, tree: Tree, draw: Draw, params: Mapping[str, Json] | None = None) -> Outputs:
    """What one variant answers, as the scorer would receive it."""
    module: dict[str, object] = {}
    exec(compile(tree.files["solution.py"], "solution.py", "exec"), module)
    dialogue = task.dialogue(draw, frozenset(e for e in task.spec.entries if e in module))
    kept: dict[str, object] = {}
    answer: Outputs | None = None
    try:
        while True:
            step = next(dialogue) if answer is None else dialogue.send(answer)
            known = {**draw.public, **step.arrays, **kept}
            answer = {}
            for call in step.calls:
                function = module[call.fn]
                accepted = inspect.signature(function).parameters  # type: ignore[arg-type]
                extra = {"params": dict(params or {}), "rng": np.random.default_rng(0)}
                kwargs = {k: v for k, v in {**{n: known[n] for n in call.kwargs}, **extra}.items() if k in accepted}
                result = function(*(known[a] for a in call.args), **kwargs)  # type: ignore[operator]
                if call.keep:
                    kept[call.keep] = result
                for array in call.returns:
                    assert result.shape == array.shape
                    assert result.dtype == np.dtype(array.dtype)
                    assert np.isfinite(result).all()
                    answer[array.name] = result[None]
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def scores(task: Task, tree: Tree, draws: list[Draw], params: Mapping[str, Json] | None = None) -> Floats:
    """(n,) score per draw."""
    return np.array([task.score(outputs(task, tree, d, params), d)[0] for d in draws])
