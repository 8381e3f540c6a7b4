"""Racing: decisions at barriers, paired estimates for those stopped early, duplicates for free."""

import numpy as np

from toprope.run.race import Race, Scored
from toprope.types import Anchors, Outcome

DRAWS = 12
RUNGS = [4, 12]


class Bench:
    """Scores a row as row[0] / 100 plus a fixed pattern over draws; remembers what it was asked."""

    def __init__(self, fails: dict[int, Outcome] | None = None) -> None:
        self.fails = fails or {}
        self.asked: list = []

    def __call__(self, pieces):
        for experiments, rows, lo, hi in pieces:
            self.asked.append((experiments.tolist(), lo, hi))
            base = rows[:, 0].astype(float) / 100
            scores = base[:, None] + 0.01 * np.cos(np.arange(lo, hi))[None, :] * (1 + rows[:, :1] % 3)
            failed = {i: self.fails[int(r[0])] for i, r in enumerate(rows) if int(r[0]) in self.fails}
            scores[list(failed)] = np.nan
            yield Scored(scores.astype(np.float32), failed)


def race_with(bench: Bench) -> Race:
    return Race(RUNGS, Anchors(np.zeros(DRAWS), np.ones(DRAWS)), bench)


def rows(*values: int) -> np.ndarray:
    return np.array([[v] for v in values], dtype=np.uint8)


def test_a_hopeless_candidate_is_stopped_and_valued_by_its_paired_difference():
    """A stopped candidate is worth the incumbent's value plus the difference on the draws both have seen."""
    race = race_with(Bench())
    race.run(rows(50))
    results = race.run(rows(20, 60))
    assert results.draws.tolist() == [4, 12]
    pattern = 0.01 * np.cos(np.arange(DRAWS))
    expected = race.finalists[-1].value + (0.20 + 3 * pattern[:4].mean()) - (0.50 + 3 * pattern[:4].mean())
    assert abs(results.values[0] - expected) < 1e-5
    assert race.pruned == 1


def test_duplicates_are_answered_from_memory():
    """The same row costs no second evaluation, inside a generation or across them."""
    bench = Bench()
    race = race_with(bench)
    race.run(rows(50, 50, 51))
    before = len(bench.asked)
    results = race.run(rows(51, 50))
    assert len(bench.asked) == before
    assert race.cached == 3
    assert results.values[0] > results.values[1]
    assert race.experiments == 5


def test_a_failed_candidate_has_an_outcome_and_no_score():
    """A crash is recorded as a crash, stops at its rung and leaves its neighbours' values alone."""
    clean, broken = race_with(Bench()), race_with(Bench({33: Outcome.CRASH}))
    for race in (clean, broken):
        race.run(rows(50))
    a, b = clean.run(rows(52, 33, 54)), broken.run(rows(52, 33, 54))
    assert b.outcomes == [Outcome.OK, Outcome.CRASH, Outcome.OK]
    assert np.isnan(b.values[1])
    assert a.values[[0, 2]].tolist() == b.values[[0, 2]].tolist()
    assert broken.failed == {Outcome.CRASH: 1}


def test_ties_keep_the_earlier_finalist():
    """An equal value does not displace the incumbent."""
    race = race_with(Bench())
    race.run(rows(50))
    race.run(np.array([[50, 1]], dtype=np.uint8)[:, :1])
    assert race.best is not None
    assert race.best.experiment == 0


def test_blocks_do_not_depend_on_anything_but_the_generation():
    """A rung is cut the same way every time: by draws, then by experiments in proposal order, into eight blocks. So
    many variants meet a draw together and share work on it."""
    bench = Bench()
    race_with(bench).run(rows(*range(40, 72)))
    first = [(experiments, lo, hi) for experiments, lo, hi in bench.asked if lo < 4]
    halves = list(range(16)), list(range(16, 32))
    assert first == [(half, lo, lo + 1) for half in halves for lo in range(4)]


def test_few_candidates_are_spread_over_draws():
    """When only a few are left they still meet each draw together, and every draw comes once."""
    bench = Bench()
    race_with(bench).run(rows(50, 60))
    last = [(tuple(e), lo, hi) for e, lo, hi in bench.asked if lo >= 4]
    for candidate in {e for e, _, _ in last}:
        draws = [d for e, lo, hi in last if e == candidate for d in range(lo, hi)]
        assert draws == list(range(4, 12))
    assert len(last) == 8


def test_only_the_best_quarter_goes_on():
    """Without an incumbent the bound stops nobody, but only a quarter of a rung is worth more draws."""
    results = race_with(Bench()).run(rows(*range(40, 56)))
    assert (results.draws == 12).sum() == 4
    assert results.draws[-4:].tolist() == [12] * 4
