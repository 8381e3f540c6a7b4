"""The climb's memory of rows: exact, the same after any cut into batches, and bounded."""

import numpy as np
import pytest

from toprope.run.race import Race, Scored
from toprope.run.seen import REMEMBERED, Seen
from toprope.types import Anchors, Outcome


def rows(*values: int) -> np.ndarray:
    """Two bytes per row, so that more than 256 rows differ."""
    return np.array(values, dtype=np.uint16)[:, None].view(np.uint8)


def test_a_row_has_one_place_and_is_new_once():
    """Inside a batch and across batches; its result is what was put there."""
    seen = Seen()
    places, fresh = seen.place(rows(5, 6, 5))
    assert fresh.tolist() == [0, 1]
    assert places[0] == places[2]
    seen.put(places[:1], 0.5, 4, Outcome.OK)
    seen.put(places[1:2], np.nan, 0, Outcome.CRASH)
    places, fresh = seen.place(rows(6, 7, 5))
    assert fresh.tolist() == [1]
    values, draws, outcomes = seen.get(places[[0, 2]])
    assert np.isnan(values[0])
    assert (values[1], draws.tolist(), outcomes) == (0.5, [0, 4], [Outcome.CRASH, Outcome.OK])


@pytest.mark.parametrize("limit", [10, 100, None])
def test_the_last_proposals_are_remembered(limit):
    """At least as many as the limit says, at most twice as many and a batch; without a limit all."""
    seen, batch, said = Seen(limit), 7, []
    for at in range(0, 700, batch):
        values = range(at, at + batch)
        places, fresh = seen.place(rows(*values))
        assert len(fresh) == batch
        seen.put(places, np.array(values) / 1000, 1, Outcome.OK)
        said.append(len(seen))
    kept = limit or 700
    assert max(said) <= 2 * (kept + batch)
    places, fresh = seen.place(rows(*range(700 - kept, 700)))
    assert not len(fresh)
    assert np.array_equal(seen.get(places)[0], np.arange(700 - kept, 700) / 1000)


def test_what_is_proposed_again_stays():
    """A row that is proposed in every batch is never scored again."""
    seen = Seen(10)
    places, _ = seen.place(rows(1))
    seen.put(places, 0.25, 3, Outcome.OK)
    for at in range(100, 200, 4):
        places, fresh = seen.place(rows(1, *range(at, at + 4)))
        assert fresh.tolist() == [1, 2, 3, 4]
        values, draws, outcomes = seen.get(places[:1])
        assert (values.tolist(), draws.tolist(), outcomes) == ([0.25], [3], [Outcome.OK])


def test_a_long_race_holds_no_more_than_a_short_one():
    """Rows held after 20,000 and after 200,000 proposals, of a climb that never repeats itself."""
    held = []
    race = Race([1], Anchors(np.zeros(1), np.ones(1)), lambda ps: [Scored(p.rows[:, :1] / 512, {}) for p in ps])
    for start in range(0, 400_000, 10_000):
        race.run(np.arange(start, start + 10_000, dtype=np.uint32)[:, None].view(np.uint8))
        held.append(len(race._seen))
    assert race.cached == 0
    assert len(race.finalists) == 64
    assert max(held) <= 2 * (REMEMBERED + 10_000)
    assert held[-1] <= 2 * (REMEMBERED + 10_000)


def test_a_finalist_that_was_forgotten_stays_one():
    """Scored again under another number, it is the same candidate, and the gate would refuse it again."""
    race = Race([1], Anchors(np.zeros(1), np.ones(1)), lambda ps: [Scored(p.rows[:, 1:] / 512, {}) for p in ps], 4)
    race.run(rows(65_000))
    for start in range(0, 40, 4):
        race.run(rows(*range(start, start + 4)))
    race.run(rows(65_000))
    assert race.cached == 0, "it was forgotten"
    assert [f.experiment for f in race.finalists].count(0) == 1
    assert len({f.row.tobytes() for f in race.finalists}) == len(race.finalists)
