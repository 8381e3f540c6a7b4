"""The actor of `--executor ray`: one lane of a node. It takes and gives bytes, which are our own typed messages.

Ray's worker processes have threads, so candidate code never runs in them: the lane executes a scorer, which starts its
sandbox before anything else (`executors/local.py`). A scorer ends with its actor.
"""

from __future__ import annotations

from toprope import wire
from toprope.errors import TopropeError
from toprope.executors.elsewhere import Lane, Terms
from toprope.executors.messages import Failed, Load, Work
from toprope.space import Space
from toprope.types import Tree


class Hand:
    """Made by Ray in a process of a node. Every answer is a message, also an error: Ray would pickle an exception."""

    def __init__(self, terms: bytes) -> None:
        self._terms: Terms = wire.decode(terms, Terms)
        self._lane: Lane | None = None
        self._trees: dict[str, Tree] = {}
        self._spaces: dict[str, Space] = {}

    def begin(self) -> bytes:
        """Starts the scorer: `Ready`, or `Failed`."""
        try:
            self._lane = Lane(self._terms)
        except TopropeError as e:
            return wire.encode(Failed(str(e), e.exit_code))
        return wire.encode(self._lane.ready)

    def load(self, load: bytes) -> None:
        """Keeps files and a space that later work names by digest."""
        known: Load = wire.decode(load, Load)
        if known.tree is not None:
            self._trees[known.tree.digest] = known.tree
        if known.space is not None:
            self._spaces[known.space.digest] = known.space

    def score(self, work: bytes) -> bytes:
        """`Done`, or `Failed`."""
        assert self._lane is not None, "begin() comes first"
        todo: Work = wire.decode(work, Work)
        try:
            return wire.encode(self._lane.score(todo, self._trees[todo.block.tree], self._spaces[todo.block.space]))
        except TopropeError as e:
            return wire.encode(Failed(f"node {self._lane.node.name}: {e}", e.exit_code))
