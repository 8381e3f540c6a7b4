"""Seeds by name: distinct paths never meet, the same path is the same everywhere, and secrets do not show."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toprope import seeding

labels = st.lists(st.one_of(st.integers(0, 9), st.text("019ab:", max_size=3)), max_size=3).map(tuple)


@given(labels, labels)
def test_a_seed_is_a_function_of_its_path(a, b):
    """Equal paths give one seed, others give others; 1 and "1" are two labels."""
    same = [(type(x), x) for x in a] == [(type(x), x) for x in b]
    assert (seeding.derive(b"s", *a) == seeding.derive(b"s", *b)) == same
    assert 0 <= seeding.derive(b"s", *a) < 2**63


def test_recorded_seeds_do_not_change():
    """Recorded runs are made again from these; another value would be another version of every task."""
    assert seeding.derive(b"secret", "draw", "dev", 3) == 7391248924674535587
    assert seeding.dev_secret(0).hex()[:16] == "8f72a74c6be355a6"
    assert seeding.commitment(b"secret")[:16] == "1dbbf861acc71ac9"


def test_a_label_may_not_hold_the_separator():
    """It would make two paths one."""
    with pytest.raises(ValueError, match="hold the separator of labels"):
        seeding.derive(b"s", "a\x1fb")


def test_secrets_differ_by_purpose():
    """One word as seed, rehearsal and beacon gives three secrets; without rehearsal each run has its own."""
    secret = seeding.run_secret("1")
    made = [seeding.dev_secret(1), secret, seeding.beacon_secret(secret, "1", "1"), seeding.run_secret(None)]
    made.append(seeding.run_secret(None))
    assert all(a != b for a, b in itertools.combinations(made, 2))
    assert {len(m) for m in made} == {32}
    assert seeding.run_secret("1") == secret
    assert seeding.beacon_secret(secret, "12", "3") != seeding.beacon_secret(secret, "1", "23")
