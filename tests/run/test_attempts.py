"""Attempts: the record comes before the question, a candidate is considered once, and what changed is not sent."""

import msgspec
import numpy as np
import pytest

from toprope.journal.ledger import SqliteLedger
from toprope.protocols import Metric, Splits
from toprope.referee.recorded import Answer
from toprope.run.attempts import Attempts, Practised, TooSlow
from toprope.run.audit import REPLICATES
from toprope.run.rerun import Rerun
from toprope.types import Candidate, Incident, Tree

SPLITS = Splits([4, 8], val_slice=100, measure_slice=8, test=8, attempt_every=8, tick_s=0.25)
METRIC = Metric("m", "u", "s", clip=0.1, spread=0.05)
SCORES = np.linspace(0, 1, 8, dtype=np.float32)


class Hub:
    """Promotes everything; remembers what it was sent."""

    def __init__(self):
        self.sent = []

    def submit(self, candidate, exponent, release_slots):
        self.sent.append((candidate.id, exponent, release_slots))

    def answer(self):
        return Answer(self.sent[-1][0], True, len(self.sent), 0)


class Alone:
    """Gives the same scores again, or others; counts the runs."""

    def __init__(self, change=0.0, incidents=(), seconds=0.01):
        self.change, self.incidents, self.seconds, self.runs = change, list(incidents), seconds, 0

    def run(self, candidate, draws, replicate=0):
        self.runs += 1
        return Rerun(SCORES[:draws] + np.float32(self.change), self.incidents, self.seconds)


@pytest.fixture
def ledger(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    yield ledger
    ledger.close()


def sent(n=1, **more) -> Practised:
    return Practised(Candidate(Tree({"solution.py": b"x"}), {"n": n}), n, 0.5, SCORES, **more)


def test_the_record_stands_before_anything_is_sent(ledger):
    """And its answer after; a later session knows both and runs nothing again."""
    hub, alone = Hub(), Alone()
    attempts = Attempts(ledger, hub, alone, SPLITS, METRIC)
    asked = attempts.consider(sent())
    assert (asked.pure, asked.clean, hub.sent) == (True, True, [])
    assert [e.kind for e in ledger.read()] == ["attempt"]
    attempts.send(asked)
    answer = attempts.hear()
    assert [e.kind for e in ledger.read()] == ["attempt", "answer"]
    later = Attempts(ledger, hub, alone, SPLITS, METRIC)
    assert later.consider(sent()) == asked
    assert later.answers == {asked.candidate.id: answer}
    assert alone.runs == 1


@pytest.mark.parametrize(
    ("alone", "clean"),
    [
        (Alone(), True),
        (Alone(1e-8), True),
        (Alone(0.01), False),
        (Alone(np.nan), False),
        (Alone(incidents=[Incident("k", "advisory", "e")]), True),
        (Alone(incidents=[Incident("k", "certain", "e")]), False),
    ],
)
def test_what_changed_or_was_caught_is_not_clean(ledger, alone, clean):
    """Rounding and an advisory incident are forgiven; the record says which it was."""
    asked = Attempts(ledger, Hub(), alone, SPLITS, METRIC).consider(sent())
    assert asked.clean == clean
    assert asked.incidents == alone.incidents


def test_incidents_of_the_experiment_count_too(ledger):
    """A candidate that was caught before it was re-run is caught."""
    caught = sent(incidents=(Incident("k", "certain", "e"),))
    assert not Attempts(ledger, Hub(), Alone(), SPLITS, METRIC).consider(caught).clean


def test_a_slower_candidate_waits_longer_and_a_too_slow_one_is_not_recorded(ledger):
    """The first moment of an answer covers champion and candidate on a whole slice; past the bound nothing is begun."""
    attempts = Attempts(ledger, Hub(), Alone(seconds=0.8), SPLITS, METRIC)
    quick, slow = (attempts.first_s(attempts.delay("c", s, 8, 1.0, 1e9)) for s in (0.08, 0.8))
    assert quick >= 0.08 / 8 * 2 * 100
    assert slow >= 0.8 / 8 * 2 * 100 > quick
    with pytest.raises(TooSlow, match=r"took 0\.8 s on 8 practice draws"):
        attempts.consider(sent(), most_s=1.0)
    assert list(ledger.read()) == []


def test_a_promoted_candidate_is_audited_once(ledger):
    """Also where a later session is asked to."""
    alone = Alone()
    for _ in range(2):
        Attempts(ledger, Hub(), alone, SPLITS, METRIC).audit(sent().candidate, SCORES)
    assert [e.kind for e in ledger.read()] == ["audit"]
    assert alone.runs == REPLICATES


@pytest.mark.parametrize(
    ("tolerance", "change", "same"),
    [
        (0.0, [0.0, 0.0], True),
        (0.0, [1e-3, -1e-3], False),  # without a tolerance every draw counts
        (2e-3, [0.1, -0.099], True),  # with one the mean does: few decisions may hang on the last bits
        (2e-3, [3e-3, 3e-3], False),
        (2e-3, [np.nan, 0.0], False),  # a failure counts whatever the tolerance
    ],
)
def test_what_counts_as_the_same_scores(tolerance, change, same):
    """Played alone instead of in a batch."""
    metric = msgspec.structs.replace(METRIC, tolerance=tolerance)
    before = np.array([0.5, 0.7])
    assert metric.same(before + np.array(change), before) == same
