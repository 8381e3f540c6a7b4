"""Imports that a task denies because they would make it trivial. This is hygiene and not a barrier.

The scorer reads them from the source by `ast`. A hidden import, such as `__import__` of a computed name, is not found.
The sandbox decides what a candidate can *reach*, and does not depend on this.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import numpy as np

from toprope.types import BlockResult, Floats, Outcome, Tree


def denied(tree: Tree, modules: Sequence[str]) -> str:
    """A line that names the first denied module that a file imports; empty without one."""
    for name, data in sorted(tree.files.items()) if modules else ():
        if not name.endswith(".py"):
            continue
        try:
            found = sorted(set(_imported(ast.parse(data))) & set(modules))
        except (SyntaxError, ValueError):
            continue  # the child reports what is wrong with it
        except (RecursionError, MemoryError):  # Python may run code that `ast` cannot parse
            return f"{name} is nested too deep for its imports to be read; this task denies some"
        if found:
            return f"{name} imports {found[0]}, which this task denies ({', '.join(modules)}): write it yourself"
    return ""


def _imported(module: ast.AST) -> Iterator[str]:
    """Top-level names of all imports, including `__import__` and `import_module` of a literal."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("__import__", "import_module"):
                name = node.args[0].value  # not str(): a number of many digits cannot be printed
                yield name.partition(".")[0] if isinstance(name, str) else ""


def invalid(scores: Floats, why: str) -> BlockResult:
    """The result of a block that is not run: every variant is invalid. scores: only its shape (k, n) is used. why: the
    message, "" on hidden draws."""
    k = len(scores)
    messages = dict.fromkeys(range(k), why) if why else {}
    return BlockResult(np.full(scores.shape, np.nan), [Outcome.INVALID] * k, messages, 0.0, 0.0)
