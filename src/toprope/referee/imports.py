"""Imports that a task denies, because with them it would be about nothing: hygiene, and no wall.

Read from the source by `ast`, in the scorer; whoever hides an import (`__import__` of a computed name, say) gets past.
What a candidate can *reach* is the sandbox's business and does not depend on this.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import numpy as np

from toprope.types import BlockResult, Floats, Outcome, Tree


def denied(tree: Tree, modules: Sequence[str]) -> str:
    """A line that names the first denied module one of the files imports; empty if none does."""
    for name, data in sorted(tree.files.items()) if modules else ():
        if not name.endswith(".py"):
            continue
        try:
            found = sorted(set(_imported(ast.parse(data))) & set(modules))
        except (SyntaxError, ValueError):
            continue  # the child will say what is wrong with it
        except (RecursionError, MemoryError):  # Python may run what it cannot show us
            return f"{name} is nested too deep for its imports to be read; this task denies some"
        if found:
            return f"{name} imports {found[0]}, which this task denies ({', '.join(modules)}): write it yourself"
    return ""


def _imported(module: ast.AST) -> Iterator[str]:
    """Top-level names of everything imported, `__import__` and `import_module` of a literal included."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("__import__", "import_module"):
                name = node.args[0].value  # a number of many digits cannot even be printed
                yield name.partition(".")[0] if isinstance(name, str) else ""


def invalid(scores: Floats, why: str) -> BlockResult:
    """The result of a block that is not run: every variant invalid, and why, where that may be told."""
    k = len(scores)
    messages = dict.fromkeys(range(k), why) if why else {}
    return BlockResult(np.full(scores.shape, np.nan), [Outcome.INVALID] * k, messages, 0.0, 0.0)
