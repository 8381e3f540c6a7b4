"""The contract of a climber as a test class, for our climbers and those of other packages.

    class TestMine(ClimberContract):
        def make_climber(self, space, seed):
            return MyClimber(space, seed)

pytest collects the inherited tests. This module does not import pytest.
"""

from __future__ import annotations

import numpy as np

from toprope import wire
from toprope.protocols import Climber, Results, Resumable
from toprope.space import Space, choice, linear, log
from toprope.types import Codes, Floats, Outcome

SPACE = Space(
    [log("l2", 1e-4, 1.0, 17, 1e-2), linear("mix", 0.0, 1.0, 11, 0.0), choice("loss", ["ce", "mse", "hinge"]),
     choice("fixed", ["only"]), linear("wide", 0.0, 255.0, 256, 128.0)],
    slots=[[0, 2], [1, 4]],
)  # fmt: skip
POINT = Space([choice("fixed", ["only"])])


def told(rows: Codes, outcome: Outcome = Outcome.OK) -> Results:
    """Results of a smooth score with ties, or of experiments that all ended with the same failure."""
    ok = outcome is Outcome.OK
    values: Floats = (
        np.round(1.0 - rows.astype(np.float64).sum(axis=1) / 300.0, 2) if ok else np.full(len(rows), np.nan)
    )
    return Results(rows.copy(), values, np.full(len(rows), 4 if ok else 0, dtype=np.int64), [outcome] * len(rows))


def history(climber: Climber, batches: tuple[int, ...] = (8, 1, 16, 16, 3)) -> list[Codes]:
    """Its proposals over a few generations with results from `told`, one (n, p) array per batch."""
    out = []
    for n in batches:
        rows = climber.ask(n)
        out.append(rows.copy())
        climber.tell(told(rows))
    return out


class ClimberContract:
    """Inherit from it and define `make_climber`; set `seeded = False` if the proposals do not depend on the seed."""

    seeded = True

    def make_climber(self, space: Space, seed: int) -> Climber:
        """A fresh climber."""
        raise NotImplementedError

    def test_rows_are_points_of_the_space(self) -> None:
        """Every proposal is a uint8 row with legal codes, and there are as many as asked for, even if that is 0."""
        climber = self.make_climber(SPACE, 1)
        assert climber.ask(0).shape == (0, len(SPACE.dims))
        for rows, n in zip(history(climber), (8, 1, 16, 16, 3), strict=True):
            assert rows.dtype == np.uint8, f"rows have dtype {rows.dtype}"
            assert rows.shape == (n, len(SPACE.dims)), f"asked for {n}, got {rows.shape}"
            assert (rows <= SPACE.sizes).all(), "a code is beyond its dimension's levels"

    def test_first_row_is_the_default(self) -> None:
        """The climb starts from the unmodified starter."""
        assert (self.make_climber(SPACE, 2).ask(4)[0] == SPACE.default()).all()

    def test_same_seed_same_proposals(self) -> None:
        """Two climbers with one seed that are told the same propose the same."""
        first, second = (history(self.make_climber(SPACE, 3)) for _ in range(2))
        assert all((a == b).all() for a, b in zip(first, second, strict=True))

    def test_other_seed_other_proposals(self) -> None:
        """The seed is used."""
        first, second = (np.concatenate(history(self.make_climber(SPACE, s))) for s in (3, 4))
        assert (first != second).any() == self.seeded

    def test_a_kept_state_goes_on_as_the_climber_would(self) -> None:
        """A climber with `state` and `restore` proposes the same from a state that was written down and read; without
        them a long run is replayed when it is resumed."""
        going = self.make_climber(SPACE, 5)
        if not isinstance(going, Resumable):
            return
        history(going)
        fresh = self.make_climber(SPACE, 5)
        assert isinstance(fresh, Resumable)
        fresh.restore(wire.decode(wire.encode(going.state())))
        first, second = history(going), history(fresh)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    def test_global_random_state_is_neither_used_nor_changed(self) -> None:
        """Randomness comes from the seed only."""
        np.random.seed(1)
        before = np.random.get_state()[1].tobytes()  # type: ignore[index]
        first = history(self.make_climber(SPACE, 5))
        assert np.random.get_state()[1].tobytes() == before, "the climber changed numpy's global state"  # type: ignore[index]
        np.random.seed(2)
        second = history(self.make_climber(SPACE, 5))
        assert all((a == b).all() for a, b in zip(first, second, strict=True))

    def test_proposals_belong_to_the_caller(self) -> None:
        """Overwriting returned rows or the arrays of results does not change later proposals."""
        clean, dirty = self.make_climber(SPACE, 6), self.make_climber(SPACE, 6)
        for n in (8, 8, 8):
            rows = clean.ask(n)
            clean.tell(told(rows))
            same = dirty.ask(n)
            assert (rows == same).all()
            results = told(same)
            same[:] = 0
            dirty.tell(results)
            results.rows[:] = 0
            results.values[:] = 99.0

    def test_failures_do_not_stop_it(self) -> None:
        """If every experiment fails, with every kind of failure, it continues to propose points of the space."""
        climber = self.make_climber(SPACE, 7)
        for outcome in (o for o in Outcome if o is not Outcome.OK):
            rows = climber.ask(6)
            assert rows.shape == (6, len(SPACE.dims))
            assert (rows <= SPACE.sizes).all()
            climber.tell(told(rows, outcome))

    def test_a_space_of_one_point(self) -> None:
        """In a space with a single point it proposes that point repeatedly."""
        assert all((rows == 0).all() for rows in history(self.make_climber(POINT, 8)))
