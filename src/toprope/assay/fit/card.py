"""What a task declares, compared with what it does: entries, honeypot, text left over from the template."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toprope.assay.fit.answers import ways
from toprope.assay.fit.draws import draw_of
from toprope.assay.fit.row import Check
from toprope.protocols import Task
from toprope.tasks.new import leftovers
from toprope.types import Draw, Tree


def card(task: Task) -> Iterator[Check]:
    yield _template(task)
    yield _entries(task)
    yield _honeypot(task)


def _template(task: Task) -> Check:
    left = leftovers(Path(inspect.getfile(type(task))).parent)
    why = "fields of task.toml that are the template's though task.py is not"
    if left:
        why = f"task.toml still has the template's {', '.join(left)} though task.py was changed; reports print them"
    return Check("its own words", not left, len(left), 0, why)


def _entries(task: Task) -> Check:
    """Every entry is defined by the starter or a baseline, or the dialogue asks for it."""
    draw, entries = draw_of(task, "measure", 0, "entries"), task.spec.entries
    spoken = ways(task, draw)
    if not spoken:
        return Check("entries", False, len(entries), 0, _mute(task, draw))
    trees = [task.starter(), *(b.tree for b in task.baselines().values())]
    known = set[str]().union(*spoken, *map(_names, trees))
    strange = [entry for entry in entries if entry not in known]
    why = "every entry of task.toml is defined by the starter or a baseline, or is asked for by dialogue()"
    if strange:
        why = f"`entries` in task.toml names {', '.join(strange)}, which no baseline defines and dialogue() never needs"
    return Check("entries", not strange, len(strange), 0, why)


def _mute(task: Task, draw: Draw) -> str:
    try:
        task.dialogue(draw, frozenset(task.spec.entries)).close()
    except ValueError as e:
        return f"dialogue() refuses a candidate with all `entries` of task.toml ({', '.join(task.spec.entries)}): {e}"
    return "`entries` in task.toml is empty; name the functions that dialogue() calls"


def _names(tree: Tree) -> set[str]:
    """Names that solution.py defines at its top level."""
    try:
        body = ast.parse(tree.files.get("solution.py", b"")).body
    except (SyntaxError, ValueError):
        return set()  # the error is reported when it runs
    found = {s.name for s in body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    found |= {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found | {a.asname or a.name for s in body if isinstance(s, ast.Import | ast.ImportFrom) for a in s.names}


def _honeypot(task: Task) -> Check:
    draw = draw_of(task, "measure", 0, "honeypot")
    planted = task.decoy(draw, np.random.default_rng(0)) is not None
    why = "wrong gold lies beside the inputs, so that a candidate that uses it is detected"
    if not planted:
        why = "the task plants no honeypot, so nothing can prove that a candidate read gold; "
        why += "`honeypot = Pairs(NAME, OUTPUT, SIZE)` in task.py plants one for answers that rank items"
    return Check("honeypot", planted, int(planted), 1, why, advice=True)
