"""Audits of a promoted candidate: do its scores depend on the seed, and does it contain a lookup table?

Both are advisory. They use dev draws only, so the result may be shown; results on hidden draws stay with the hub.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from toprope.types import Floats, Incident

REPLICATES = 2  # other seeds on every dev draw
LUCK = 4.0  # standard errors by which the recorded scores may lie above those with other seeds
TABLE = 2048  # constants in one literal, or characters in one string: a lookup table rather than a method


def luck(recorded: Floats, others: Floats) -> list[Incident]:
    """An incident if the dev scores depend on their seed. recorded: (n,) scores; others: (r, n) scores with r other
    seeds, NaN where the candidate failed."""
    gain = recorded - others.mean(axis=0)
    if np.isnan(gain).any():
        return [Incident("seed", "advisory", f"fails on {int(np.isnan(gain).sum())} dev draws with another seed")]
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    if gain.mean() <= LUCK * error or gain.mean() <= 1e-9:
        return []
    said = f"dev scores are {gain.mean():.4f} ± {error:.4f} (standard error) lower with other seeds"
    return [Incident("seed", "advisory", said)]


def tables(files: Mapping[str, bytes]) -> list[Incident]:
    """An incident if files hold literals larger than a method needs. It asks for a look and proves nothing."""
    found = []
    for name, data in files.items():
        if not name.endswith(".py"):
            if len(data) > TABLE:
                found.append(f"{name}: {len(data)} bytes of data")
            continue
        try:
            size = max((_weight(node) for node in ast.walk(ast.parse(data))), default=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # Python cannot run what it cannot parse
        if size > TABLE:
            found.append(f"{name}: a literal of {size} constants or characters")
    return [Incident("table", "advisory", "; ".join(found))] if found else []


def _weight(node: ast.AST) -> int:
    """Constants in a literal collection, or characters in a string. Docstrings count, but are shorter than a table."""
    if isinstance(node, ast.Constant):
        return len(node.value) if isinstance(node.value, str | bytes) else 1
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return sum(map(_weight, node.elts))
    if isinstance(node, ast.Dict):
        return sum(_weight(k) for k in node.keys if k is not None) + sum(map(_weight, node.values))
    return 1
