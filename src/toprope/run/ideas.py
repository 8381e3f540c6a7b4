"""How different a run's ideas are: families of candidates by their code, their entropy over time, complexity.

A candidate's words are the names, attributes, constants and node kinds of its Python; it belongs to the first family
whose founder shares enough of them (Jaccard), else it founds one. Crude, cheap and the same for everybody: a measure of
whether a team repeats itself, not of who had an idea.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from toprope.types import Candidate

ALIKE = 0.7  # share of words in common from which two candidates are one idea
WINDOW = 16  # experiments over which entropy is taken


def words(candidate: Candidate) -> frozenset[str]:
    """What its Python is made of; parameters count with their values."""
    found = {f"{k}={v!r}" for k, v in candidate.params.items()}
    for tree in _trees(candidate):
        for node in ast.walk(tree):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            found.add(str(name) if isinstance(name, str) else type(node).__name__)
            if isinstance(node, ast.Constant) and not isinstance(node.value, str):
                found.add(repr(node.value))
    return frozenset(found)


def complexity(candidate: Candidate) -> int:
    """Nodes of its Python's syntax trees."""
    return sum(1 for tree in _trees(candidate) for _ in ast.walk(tree))


def families(candidates: Sequence[Candidate]) -> list[int]:
    """Number of each candidate's family, in order of appearance."""
    founders: list[frozenset[str]] = []
    found = []
    for candidate in candidates:
        own = words(candidate)
        at = next((i for i, founder in enumerate(founders) if _shared(own, founder) >= ALIKE), len(founders))
        if at == len(founders):
            founders.append(own)
        found.append(at)
    return found


def entropy(numbers: Sequence[int], window: int = WINDOW) -> list[float]:
    """Shannon entropy, in bits, of the families of the last `window` experiments, after each experiment."""
    return [_bits(numbers[max(0, i + 1 - window) : i + 1]) for i in range(len(numbers))]


def _bits(some: Sequence[int]) -> float:
    shares = [n / len(some) for n in Counter(some).values()]
    return -sum(p * math.log2(p) for p in shares) + 0.0  # no minus zero


def _shared(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def _trees(candidate: Candidate) -> Iterator[ast.AST]:
    for name, data in candidate.tree.files.items():
        if name.endswith(".py"):
            try:
                yield ast.parse(data)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # what Python cannot read is no idea yet
