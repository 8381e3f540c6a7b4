"""Finals that a ledger holds are played again: a forged score, and a candidate that does not exist, are found."""

from types import SimpleNamespace

import numpy as np
import pytest

from toprope.assay.verify import _finals
from toprope.journal.records import FinalsRecord
from toprope.protocols import Metric
from toprope.types import Candidate, Tree

TASK = SimpleNamespace(spec=SimpleNamespace(metric=Metric("m", "u", "s", clip=0.1, spread=0.05)))
MADE = {0: (Candidate(Tree({"solution.py": b"x"}), {"n": 1}), np.zeros(4))}


class Half:
    """Every score is one half."""

    def load(self, tree, space):
        return tree.digest, space.digest

    def run(self, works):
        for work in works:
            assert (work.split, work.slice) == ("dev", 1)
            shape = len(work.block.rows), len(work.block.draws)
            yield SimpleNamespace(id=work.id, result=SimpleNamespace(scores=np.full(shape, 0.5)))


@pytest.mark.parametrize(
    ("experiment", "score", "wrong"), [(0, 0.5, []), (0, 0.6, [0]), (7, 0.5, [7])], ids=["true", "forged", "unknown"]
)
def test_finals_are_played_again(experiment, score, wrong):
    """On their own slice of practice draws."""
    finals = FinalsRecord(1, np.array([experiment], np.uint32), np.full((1, 3), score, np.float32))
    history = SimpleNamespace(finals=[finals], scored=lambda some: {e: MADE[e] for e in some if e in MADE})
    assert _finals(history, TASK, Half(), 3) == wrong
