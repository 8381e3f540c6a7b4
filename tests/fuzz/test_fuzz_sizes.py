"""How much is tried: every property runs as many cases as it declares, and together they are enough."""

from fuzzing import SIZES


def test_the_slow_form_is_more_than_ten_thousand_cases():
    """Each property asserts its own count, so the sum of what is declared is what ran."""
    assert sum(slow for _, slow in SIZES.values()) >= 10_000
    assert sum(fast for fast, _ in SIZES.values()) >= 1_400
