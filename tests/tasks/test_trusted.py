"""Our own candidates, played in this process."""

import sys

from toprope.tasks.trusted import load
from toprope.types import Tree

SOLUTION = """
import json
from blocks import half

ANSWER = half(84)
seen = []
"""
FILES = {"solution.py": SOLUTION, "json.py": "", "blocks.py": "def half(n):\n    return n // 2\n"}
TREE = Tree({name: text.encode() for name, text in FILES.items()})


def test_a_tree_of_several_files_loads_and_leaves_nothing_behind():
    """Its own files come before modules of the same name, and only while it loads; every load is a new module."""
    before = sys.modules["json"]
    first, second = load(TREE), load(TREE)
    assert first.ANSWER == 42
    assert first.json is not before
    assert sys.modules["json"] is before
    assert not {"solution", "blocks"} & set(sys.modules)
    first.seen.append(1)
    assert second.seen == []
