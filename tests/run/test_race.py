"""Racing: decisions at barriers, paired estimates for those stopped early, duplicates for free."""

import math

import numpy as np
import pytest

from studies import racing
from toprope.run.race import Race, Scored, stride
from toprope.types import Anchors, Outcome

DRAWS = 12
RUNGS = [4, 12]


class Bench:
    """Scores a row as row[0] / 100 plus a fixed pattern over draws; remembers what it was asked."""

    def __init__(self, fails: dict[int, Outcome] | None = None) -> None:
        self.fails = fails or {}
        self.asked: list = []

    def __call__(self, pieces):
        for experiments, rows, lo, hi, _ in pieces:
            self.asked.append((experiments.tolist(), lo, hi))
            base = rows[:, 0].astype(float) / 100
            scores = base[:, None] + 0.01 * np.cos(np.arange(lo, hi))[None, :] * (1 + rows[:, :1] % 3)
            failed = {i: self.fails[int(r[0])] for i, r in enumerate(rows) if int(r[0]) in self.fails}
            scores[list(failed)] = np.nan
            yield Scored(scores.astype(np.float32), failed)


def race_with(bench: Bench, **options: bool) -> Race:
    return Race(RUNGS, Anchors(np.zeros(DRAWS), np.ones(DRAWS)), bench, **options)


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


def test_a_climb_that_is_stuck_begins_at_another_draw():
    """After two generations without a better one. Each draw is the first one once, and a candidate that goes on meets
    every draw once."""
    bench = Bench()
    race, first = race_with(bench), []
    race.run(rows(100))
    for g in range(2 * DRAWS):
        bench.asked.clear()
        race.run(rows(*range(4 * g, 4 * g + 4)) % 100)
        first.append(bench.asked[0][1])
        mine = [d for e, lo, hi in bench.asked if 1 + 4 * g in e for d in range(lo, hi)]
        assert mine == [(first[-1] + i) % DRAWS for i in range(4)]
    assert first[0::2] == first[1::2]
    assert sorted(first[0::2]) == list(range(DRAWS))
    bench.asked.clear()
    race.run(rows(101))
    mine = [d for _, lo, hi in bench.asked for d in range(lo, hi)]
    assert sorted(mine) == list(range(DRAWS))
    assert mine[0] == 0


@pytest.mark.parametrize(("values", "turning"), [(range(50, 90), True), (range(90, 50, -1), False)])
def test_other_climbs_begin_where_they_began(values, turning):
    """Those that find better candidates, and those by the rules of earlier formats, whatever they find."""
    bench = Bench()
    race = race_with(bench, turning=turning)
    for value in values:
        bench.asked.clear()
        race.run(rows(value))
        assert bench.asked[0][1] == 0


def test_scores_of_finalists_stand_at_their_draws():
    """Whatever the order in which they were seen."""
    race = race_with(Bench())
    race.run(rows(80))
    for _ in range(3):
        race.run(rows(1))
    race.run(rows(81))
    race.run(rows(82))
    pattern = 0.01 * np.cos(np.arange(DRAWS))
    assert [f.row[0] for f in race.finalists] == [82, 81, 80]
    for f in race.finalists:
        assert np.allclose(f.scores, f.row[0] / 100 + pattern * (1 + f.row[0] % 3))


def test_every_draw_is_the_first_one_equally_often():
    """Whatever their number."""
    assert all(math.gcd(stride(n), n) == 1 for n in range(1, 200))
    assert [stride(n) for n in (48, 64, 84)] == [29, 39, 53]


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "least"), [(22_000, -0.02), (135_000, 0.02)])
def test_a_long_climb_does_not_breed_for_its_first_draws(budget, least):
    """Over 40 seeds the best by dev is truly better than where the first draws are always the same, and no worse in a
    short climb, by the lower end of the interval. About 5,000 and 31,000 experiments."""
    values, _ = racing.compared(40, budget)
    gains = values[:, 0] - values[:, 1]
    assert gains.mean() - 2 * gains.std(ddof=1) / np.sqrt(40) > least, gains.mean()
