"""Search spaces: rows are bytes, parameters are levels, and a wish that fits no level is refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toprope.errors import UsageError
from toprope.space import Conditions, Dim, Space, all_but, choice, linear, log, several
from toprope.space import given as only

SPACE = Space([linear("rate", 0.0, 1.0, 11, 0.3), log("width", 1, 1000, 4, 10), choice("kind", ["a", True, 1, None])])


@given(st.tuples(*(st.integers(0, int(n)) for n in SPACE.sizes)))
def test_a_row_and_its_parameters_are_one(row):
    """Every row of the space is what its parameters encode to."""
    codes = np.array(row, dtype=np.uint8)
    assert (SPACE.encode(SPACE.decode(codes)) == codes).all()


def test_a_number_snaps_in_an_ordered_dimension_only():
    """The nearest level stands for a number between two; options have no nearest one."""
    assert SPACE.decode(SPACE.encode({"rate": 0.34, "width": 80})) == {"rate": 0.3, "width": 100.0, "kind": "a"}
    with pytest.raises(UsageError, match="parameter 'kind' = 2; expected one of"):
        SPACE.encode({"kind": 2})


def test_true_is_not_one():
    """Levels that Python holds equal keep their own codes."""
    assert [int(SPACE.encode({"kind": k})[2]) for k in (True, 1)] == [1, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "0.3", None, True, [0.3]])
def test_what_is_no_number_does_not_snap(value):
    """It is refused with the dimension's name and levels."""
    with pytest.raises(UsageError, match="parameter 'rate'"):
        SPACE.encode({"rate": value})


def test_an_unknown_parameter_is_named_beside_the_known():
    """The message says which there are."""
    with pytest.raises(UsageError, match="parameter 'rat' is not in this space; it has rate, width, kind"):
        SPACE.encode({"rat": 0.3})


def test_a_dimension_fits_a_byte():
    """256 levels are the most."""
    assert len(linear("x", 0, 1, 256, 0).levels) == 256
    with pytest.raises(UsageError, match="has 257 levels; expected at most 256"):
        linear("x", 0, 1, 257, 0)


def test_the_smallest_space_of_several_candidates():
    """Each name has the values that occur, once each by value and type, and the rows give the dictionaries back."""
    given_ = [{"a": 1, "b": "x"}, {"a": True, "b": "x"}, {"a": 1, "b": "y"}]
    space, rows = several(given_)
    assert [len(d.levels) for d in space.dims] == [2, 2]
    assert [space.decode(row) for row in rows] == given_
    assert type(space.decode(rows[1])["a"]) is bool


def test_a_space_is_known_by_all_that_it_holds():
    """Another default, level or order of levels is another space."""
    digests = {Space([choice("k", levels, at)]).digest for levels, at in (([1, 2], 0), ([1, 2], 1), ([2, 1], 0))}
    assert len(digests) == 3


VOTE = choice("vote", ["none", "knn", "mean"])
FILTER = choice("filter", ["none", "knn"])
TREE = Space(
    [
        *only([choice("near", [1, 2, 3], 1)], {"vote": ["knn"]}, {"filter": ["knn"]}),  # before what it depends on
        VOTE,
        *only([choice("trust", [False, True])], all_but(VOTE, "none")),
        *only([choice("scale", [0.5, 1, 2], 1)], {"trust": [True], "filter": ["none"]}),  # on what has a condition
        FILTER,
        choice("cut", [0, 1]),
    ]
)


def every_row(space):
    return np.array(list(np.ndindex(*(len(d.levels) for d in space.dims))), np.uint8)


def test_a_parameter_without_effect_is_at_its_default():
    """`trust` has none without a vote, and so `scale` has none either, whatever `trust` was."""
    row = TREE.encode({"vote": "none", "trust": True, "scale": 2, "near": 3, "cut": 1})
    conditions = Conditions(TREE)
    settled = TREE.decode(conditions.canonical(row[None])[0])
    assert settled == {"near": 2, "vote": "none", "trust": False, "scale": 1, "filter": "none", "cut": 1}
    assert conditions.active(row[None])[0].tolist() == [False, True, False, False, True, True]


def test_one_of_the_alternatives_is_enough_and_all_of_one_are_needed():
    """`near` serves a vote or a filter; `scale` needs trust and no filter."""
    rows = [TREE.encode(p) for p in ({"filter": "knn", "near": 3}, {"vote": "mean", "trust": True, "scale": 2})]
    assert np.array_equal(Conditions(TREE).canonical(np.array(rows)), rows)
    row = TREE.encode({"vote": "mean", "trust": True, "scale": 2, "filter": "knn"})
    assert TREE.decode(Conditions(TREE).canonical(row[None])[0])["scale"] == 1


def test_points_are_those_that_differ_in_something():
    """As many as there are different canonical rows, which in a space without conditions are all."""
    rows = every_row(TREE)
    settled = Conditions(TREE).canonical(rows)
    assert TREE.points == len(np.unique(settled, axis=0)) < len(rows)
    assert np.array_equal(Conditions(TREE).canonical(settled), settled)
    assert SPACE.points == 11 * 4 * 4


def test_a_space_without_conditions_keeps_the_digest_that_runs_recorded():
    """The digest was made by a version that knew none; with a condition it is another."""
    assert SPACE.digest == "af3bdd6e3d72c729143184d528ec650374526465ba0417c40f24fdf16e099b63"
    assert (
        Space([VOTE, *only([choice("x", [1, 2])], {"vote": ["knn"]})]).digest
        != Space([VOTE, choice("x", [1, 2])]).digest
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"b": ["yes"]}, "parameter 'a' has a condition on 'b'; expected another parameter of the space: vote, c"),
        ({"a": [1]}, "parameter 'a' has a condition on 'a'; expected another parameter"),
        ({"vote": ["no"]}, r"parameter 'a' has a condition on 'vote' = \['no'\]; expected some of its levels"),
        ({"c": [True]}, r"parameter 'a' has a condition on 'c' = \[True\]; expected some of its levels"),
        ({"c": [1]}, "conditions of the space depend on each other: (a -> c -> a|c -> a -> c); drop one of them"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(when, said):
    """In one line that names the parameter and what was expected."""
    space = Space([*only([choice("a", [1, 2])], when), VOTE, *only([choice("c", [1, 2])], {"a": [2]})])
    with pytest.raises(UsageError, match=said):
        Conditions(space)


def test_rows_are_left_as_they_are_without_conditions():
    """Old spaces cost nothing more."""
    rows = every_row(SPACE)[:50]
    assert Conditions(SPACE).canonical(rows) is rows
    assert Conditions(SPACE).active(rows).all()
    assert Dim("x", [1]).when == []
