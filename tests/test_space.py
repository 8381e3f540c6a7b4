"""Search spaces: rows are bytes, parameters are levels, and a wish that fits no level is refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toprope.errors import UsageError
from toprope.space import Space, choice, linear, log, several

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
