"""The shipped climbers: the contract, and what each promises beyond it."""

import json
from pathlib import Path

import numpy as np
import pytest
from landscape import SPACE, climb

from toprope.climbers import make, names
from toprope.climbers.evolution import Evolution
from toprope.climbers.replay import ReplayClimber
from toprope.errors import UsageError
from toprope.protocols import Climber, Results
from toprope.space import Conditions, Dim, Space, choice, given, linear
from toprope.testing import climbers as contract
from toprope.testing.climbers import ClimberContract, told
from toprope.types import Codes, Outcome


class TestRandom(ClimberContract):
    def make_climber(self, space: Space, seed: int) -> Climber:
        return make("random", space, seed)


class TestEvolution(ClimberContract):
    def make_climber(self, space: Space, seed: int) -> Climber:
        return make("evolution", space, seed, population=10)


class TestReplay(ClimberContract):
    seeded = False

    def make_climber(self, space: Space, seed: int) -> Climber:
        rows = np.random.default_rng(0).integers(0, space.sizes.astype(int) + 1, (200, len(space.dims)))
        rows[0] = space.default()
        return make("replay", space, seed, rows=rows)


def _report(rows: Codes, values: list[float]) -> Results:
    return Results(rows, np.array(values), np.ones(len(rows), dtype=np.int64), [Outcome.OK] * len(rows))


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_how_proposals_are_asked_for_does_not_matter(name: str) -> None:
    """Asking for 60, or for 1, 7, 0 and 52, between two tells gives the same rows, generation after generation."""
    whole, parts = make(name, SPACE, 9), make(name, SPACE, 9)
    for _ in range(5):
        rows = whole.ask(60)
        assert (rows == np.concatenate([parts.ask(n) for n in (1, 7, 0, 52)])).all()
        for climber in (whole, parts):
            climber.tell(told(rows))


def test_random_is_uniform() -> None:
    """Every level of every dimension is equally likely (chi-square over 20,000 rows, 5 sd)."""
    rows = make("random", SPACE, 0).ask(20_000)
    for column, dim in zip(rows.T, SPACE.dims, strict=True):
        counts, k = np.bincount(column, minlength=len(dim.levels)), len(dim.levels)
        chi = ((counts - 20_000 / k) ** 2 / (20_000 / k)).sum()
        assert abs(chi - (k - 1)) < 5 * np.sqrt(2 * (k - 1))


def test_evolution_beats_random() -> None:
    """20 noisy multimodal worlds, 2,000 experiments each: better in at least 19, and by .2 in the mean."""
    pairs = [
        [climb(make(name, SPACE, world), budget=2000, batch=50, world=world) for name in ("evolution", "random")]
        for world in range(20)
    ]
    gains = np.array([evolution - random for evolution, random in pairs])
    assert (gains > 0).sum() >= 19
    assert gains.mean() > 0.2


def test_evolution_climbs_in_large_batches() -> None:
    """With batches of 1,000 it still gains: ageing keeps at least two generations (6 worlds, 10,000 experiments)."""
    gains = [
        climb(make("evolution", SPACE, w), 10_000, 1000, w) - climb(make("random", SPACE, w), 10_000, 1000, w)
        for w in range(6)
    ]
    assert np.mean(gains) > 0.1


def test_evolution_never_repeats_while_it_can_avoid_it() -> None:
    """2,000 proposals in a space of 4^8 points: at most 1 in 1,000 is a repeat; a full small space is let through."""
    space = Space([choice(f"c{i}", [0, 1, 2, 3]) for i in range(8)])
    climber, rows = Evolution(space, 0), []
    for _ in range(40):
        rows.append(climber.ask(50))
        climber.tell(told(rows[-1]))
    assert len(np.unique(np.concatenate(rows), axis=0)) >= 1998
    tiny = Evolution(Space([choice("c", [0, 1])]), 0)
    for _ in range(5):
        tiny.tell(told(tiny.ask(20)))


def test_crossover_moves_whole_slots() -> None:
    """Without mutation every child's slot comes from one parent entire, and both parents are used."""
    space = Space([choice(f"c{i}", list(range(250))) for i in range(6)], slots=[[0, 3], [1, 4], [2, 5]])
    climber = Evolution(space, 0, crossover=1.0, tournament=0.01)
    parents = np.array([[1] * 6, [2] * 6], dtype=np.uint8)
    climber.tell(_report(parents, [0.5, 0.5]))
    u = np.random.default_rng(0).random((500, 10))
    children = climber._bred(u[:, :4], u[:, 4:7])
    assert (children[:, :3] == children[:, 3:]).all()
    assert len(np.unique(children[:, :3], axis=0)) == 8


def test_equal_scores_prefer_the_earlier() -> None:
    """Scores equal after rounding to 1e-6 rank in the order of the experiments."""
    climber = Evolution(SPACE, 0)
    rows = make("random", SPACE, 0).ask(4)
    climber.tell(_report(rows, [0.3, 0.5 - 1e-9, 0.5 + 1e-9, 0.5]))
    assert climber._ranked.tolist() == [1, 2, 3, 0]


def test_the_old_die_however_good() -> None:
    """Regularisation: a record score older than the population stops being a parent."""
    climber = Evolution(SPACE, 0, population=5)
    rows = make("random", SPACE, 0).ask(6)
    for i, value in enumerate([9.0, 0.1, 0.2, 0.3, 0.4, 0.5]):
        climber.tell(_report(rows[i : i + 1], [value]))
    assert climber._values.max() == 0.5


def test_mutation_steps_are_mostly_short_on_ordered_dimensions() -> None:
    """On an ordered dimension a half to three quarters of mutations go one or two levels; all change the level."""
    climber = Evolution(contract.SPACE, 0)
    rng = np.random.default_rng(0)
    rows = np.full((5000, 5), 1, dtype=np.uint8)
    rows[:, 4] = 128
    moved = climber._stepped(rows, rng.random((5000, 5)), rng.random((5000, 5)))
    assert (moved[:, [0, 1, 2, 4]] != rows[:, [0, 1, 2, 4]]).all()
    assert (moved <= contract.SPACE.sizes).all()
    assert 0.5 < (abs(moved[:, 4].astype(int) - 128) <= 2).mean() < 0.75


def test_replay_reads_an_export(tmp_path: Path) -> None:
    """A file of ledger rows or of bare parameter objects replays in order and then ends."""
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"seq": 4, "params": {"x0": 3.0, "c1": "e"}}) + "\n\n" + json.dumps({"x1": 15.0}) + "\n")
    climber = make("replay", SPACE, 0, path=file)
    first = climber.ask(1)
    assert SPACE.decode(first[0])["c1"] == "e"
    assert SPACE.decode(first[0])["x0"] == 3.0
    assert climber.ask(5).shape == (1, 20)
    assert climber.ask(5).shape == (0, 20)


@pytest.mark.parametrize(
    ("line", "message"), [("{", "line 1"), ("[1]", "JSON object"), ('{"nope": 1}', "not in this space")]
)
def test_replay_names_a_bad_line(tmp_path: Path, line: str, message: str) -> None:
    """A line that does not hold parameters of this space gives one clear error."""
    file = tmp_path / "rows.jsonl"
    file.write_text(line)
    with pytest.raises(UsageError, match=message):
        ReplayClimber(SPACE, path=file)


def test_replay_refuses_rows_of_another_space() -> None:
    """Codes beyond the levels, a wrong width, no rows at all and a missing file are refused."""
    for rows in (np.full((1, 20), 99), np.zeros((1, 3)), np.zeros(20)):
        with pytest.raises(UsageError, match="not points of this space"):
            ReplayClimber(SPACE, rows=rows)
    for wrong in ({}, {"path": "/nonexistent/rows"}):
        with pytest.raises(UsageError):
            make("replay", SPACE, 0, **wrong)


def test_make_names_what_is_wrong() -> None:
    """Unknown climbers, options and option values say what there is instead."""
    assert names() == ["evolution", "optuna:cmaes", "optuna:tpe", "random", "replay"]
    with pytest.raises(UsageError, match="choose one of evolution, optuna:cmaes, "):
        make("annealing", SPACE, 0)
    with pytest.raises(UsageError, match="has no option 'pop'; it has population"):
        make("evolution", SPACE, 0, pop=3)
    with pytest.raises(UsageError, match="population=1"):
        make("evolution", SPACE, 0, population=1)
    with pytest.raises(UsageError, match="disjoint"):
        make("evolution", Space([choice("a", [1, 2])], slots=[[0], [0]]), 0)


def test_what_is_known_is_proposed_first():
    """Evolution begins with the default, then the given rows, each once, however they are asked for."""
    starts = np.array([[1, 2, 3], [0, 0, 0], [2, 1, 0], [1, 2, 3]], dtype=np.uint8)
    space = Space([choice(name, list(range(5))) for name in "abc"])
    whole = make("evolution", space, 1, starts).ask(8)
    assert whole[:3].tolist() == [[0, 0, 0], [1, 2, 3], [2, 1, 0]]
    parts = make("evolution", space, 1, starts)
    assert np.array_equal(np.concatenate([parts.ask(1), parts.ask(7)]), whole)
    assert len(make("random", space, 1, starts).ask(3)) == 3  # takes no hint


KIND = choice("kind", ["none", "ridge", "tree"])
CONDITIONAL = Space(
    [
        KIND,
        *given([linear("l2", 0, 1, 9, 0.5)], {"kind": ["ridge"]}),
        *given([linear(f"depth{i}", 0, 1, 9, 0.5) for i in range(8)], {"kind": ["tree"]}),
        choice("cut", list(range(9))),
    ]
)


def test_evolution_spends_nothing_on_parameters_without_effect() -> None:
    """With a `kind` other than tree eight of eleven parameters have none. Nearly all of 120 proposals differ in others
    (some are let through where all was tried); in a space that does not say so a third are twins."""
    conditions = Conditions(CONDITIONAL)
    silent = Space([Dim(d.name, d.levels, d.default, d.ordered) for d in CONDITIONAL.dims])
    different = {}
    for space in (CONDITIONAL, silent):
        climber, seen = make("evolution", space, 3, population=10), []
        for _ in range(6):
            rows = climber.ask(20)
            seen.append(rows)
            climber.tell(_report(rows, (rows[:, 0] == 1) + rows[:, -1] / 20.0))
        different[space is silent] = len(np.unique(conditions.canonical(np.concatenate(seen)), axis=0))
    assert different[False] > 110
    assert different[True] < 90
