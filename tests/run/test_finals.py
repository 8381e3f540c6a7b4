"""Finals on fresh practice draws: who meets what, what is compared, what is recorded."""

import numpy as np
import pytest

from toprope.errors import RunError
from toprope.executors.messages import Done
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import record
from toprope.run.finals import Finals
from toprope.run.race import Finalist
from toprope.space import Dim, Space
from toprope.types import BlockResult, Outcome, Tree

SPACE = Space([Dim("n", [0, 1, 2, 3])])
TREE = Tree({"solution.py": b"x"})
DRAWS = 12


class Scores:
    """An executor: the score on a fresh draw is the row's level plus a tenth of draw and slice; level 3 fails."""

    def __init__(self):
        self.works = []

    def load(self, tree, space):
        return tree.digest, space.digest

    def run(self, works):
        for work in reversed(list(works)):
            self.works.append(work)
            draws = np.array(work.block.draws)
            scores = work.block.rows.astype(float) + 0.1 * draws + 0.1 * work.slice
            scores[work.block.rows[:, 0] == 3] = np.nan
            outcomes = [Outcome.CRASH if np.isnan(row).any() else Outcome.OK for row in scores]
            zero = np.zeros(len(draws))
            yield Done(work.id, BlockResult(scores, outcomes, {}, 0.0, 0.0), zero, zero + 1, zero.astype(np.int64))


def finalist(level, dev):
    return Finalist(10 + level, np.array([level], np.uint8), dev, np.full(4, dev, np.float32))


@pytest.fixture
def ledger(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    yield ledger
    ledger.close()


def test_gains_are_over_known_and_fresh_draws(ledger):
    """Level 2 had luck on its four draws; on the twelve fresh ones it is 2 above the champion."""
    scores = Scores()
    gains = Finals(ledger, scores, TREE, SPACE, DRAWS).hold([finalist(2, 9.0), finalist(3, 1.0)], finalist(0, 0.0))
    assert gains.mean[0] == pytest.approx((4 * 9 + 12 * 2) / 16)
    assert gains.se[0] == pytest.approx(np.std([9] * 4 + [2] * 12) / 4)
    assert np.isnan(gains.mean[1])


def test_every_final_has_a_slice_of_its_own(ledger):
    """All players meet every draw once, in one block per span, on slices of dev that no experiment uses."""
    scores = Scores()
    finals = Finals(ledger, scores, TREE, SPACE, DRAWS)
    for _ in range(2):
        finals.hold([finalist(1, 0.0)], finalist(0, 0.0))
    for number in (1, 2):
        mine = [w for w in scores.works if w.slice == number]
        assert sorted(d for w in mine for d in w.block.draws) == list(range(DRAWS))
        assert {w.split for w in mine} == {"dev"}
        assert all(len(w.block.rows) == 2 for w in mine)


def test_recorded_finals_are_not_held_again(ledger):
    """A run that is resumed reads them; other players than the recorded ones are an error."""
    first = Finals(ledger, Scores(), TREE, SPACE, DRAWS).hold([finalist(2, 0.0)], finalist(0, 0.0))
    scores = Scores()
    again = Finals(ledger, scores, TREE, SPACE, DRAWS).hold([finalist(2, 0.0)], finalist(0, 0.0))
    assert (scores.works, again.mean.tolist()) == ([], first.mean.tolist())
    (kept,) = map(record, ledger.read("finals"))
    assert (kept.number, kept.experiments.tolist(), kept.scores.shape) == (1, [10, 12], (2, DRAWS))
    with pytest.raises(RunError, match="other candidates"):
        Finals(ledger, scores, TREE, SPACE, DRAWS).hold([finalist(1, 0.0)], finalist(0, 0.0))
