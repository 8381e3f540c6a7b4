"""Cases there and answers back: exact both ways, and nothing a candidate writes can upset the scorer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.mirror.imitate import draws, outputs, reference, task
from toprope.sandbox.inside import cases as inside
from toprope_tasks.mirror import packing
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase
from toprope_tasks.mirror.suite import CASES, WIDTH

SOME = st.binary(max_size=40)
CASE = st.builds(ProgramCase, st.tuples(SOME, SOME) | st.tuples(), SOME, st.just(()) | st.tuples(st.tuples(SOME, SOME)))
ANSWER = st.builds(ProgramAnswer, SOME, SOME, st.integers(0, 255))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(CASE, max_size=5))
def test_cases_arrive_as_they_were_sent(cases: list[ProgramCase]) -> None:
    """What the scorer packs, the child unpacks to the same arguments, standard input and files."""
    there = inside.unpack(packing.pack(cases).tobytes())
    assert [(tuple(c.argv), c.stdin, tuple(c.files.items())) for c in there] == [tuple(c) for c in cases]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ANSWER)
def test_answers_come_back_as_they_were_given(answer: ProgramAnswer) -> None:
    """What the child packs is the scorer's own row for that answer, byte for byte, and is read as that answer."""
    there = inside.packed(tuple(answer), WIDTH).ljust(WIDTH, b"\0")
    assert there == packing.row(answer, WIDTH).tobytes()
    assert packing.parse(there) == answer


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=64) | st.tuples(ANSWER, st.integers(0, 45), st.integers(0, 255)).map(
    lambda x: (lambda d: d[: x[1]] + bytes([x[2]]) + d[x[1] + 1 :])(bytearray(packing.row(x[0], 100).tobytes()))
).map(bytes))  # fmt: skip
def test_whatever_comes_back_is_read_or_refused(data: bytes) -> None:
    """Arbitrary and spoiled rows: `parse` gives an answer whose own row it was, or None; it never raises."""
    answer = packing.parse(data)
    if answer is not None:
        assert packing.row(answer, len(data)).tobytes() == data


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.binary(min_size=WIDTH, max_size=WIDTH), st.integers(0, CASES - 1), st.integers(0, 11))
def test_scoring_survives_any_bytes(data: bytes, place: int, which: int) -> None:
    """A row of arbitrary bytes among right answers costs its case and nothing else; score, tally and agreement are
    numbers."""
    t = task("rpn")
    draw = draws("rpn", "dev", 12)[which]
    said = outputs(reference(t), draw)
    whole = t.score(said, draw)[0]
    said["answers"][0, place] = np.frombuffer(data, np.uint8)
    assert whole - 0.25 - 1e-9 <= t.score(said, draw)[0] <= whole
    assert t.tally(said, draw).shape == (1, 4)


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (None, 4),
        (("a", b"", 0), 4),
        ((b"", b"", 256), 4),
        ((b"", b"", -1), 4),
        ((b"", b""), 4),
        ((b"x" * 99, b"", 0), 3),
    ],
)
def test_what_is_no_answer_is_wrong(answer: object, ended: int) -> None:
    """Text instead of bytes, other exit codes, other tuples, too many bytes: a row that says so, and no answer."""
    row = inside.packed(answer, 64)
    assert row[0] == ended
    assert packing.parse(row.ljust(64, b"\0")) is None


def test_an_exception_is_a_wrong_answer_and_the_rest_counts() -> None:
    """Of three cases the middle one raises: the others' answers stand, and the first exception is told."""

    def main(argv, stdin, files):
        return b"%d" % (1 // len(stdin)), b"", 0

    said, first = inside.play(main, [inside.PackedCase([], s, {}) for s in (b"a", b"", b"b")], 32, {})
    assert [packing.parse(row.tobytes()) for row in said] == [
        ProgramAnswer(b"1", b"", 0),
        None,
        ProgramAnswer(b"1", b"", 0),
    ]
    assert isinstance(first, ZeroDivisionError)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(ANSWER, ANSWER)
def test_partial_credit_is_bounded(said: ProgramAnswer, gold: ProgramAnswer) -> None:
    """At most 0.6 for what is not exact, and nothing for no answer."""
    assert 0.0 <= packing.credit(said, gold) <= 0.6
    assert packing.credit(None, gold) == 0.0


def test_partial_credit_is_the_formula() -> None:
    """0.4 for the share of lines right and in place, 0.1 for the exit code, 0.1 for standard error."""
    gold = ProgramAnswer(b"a\nb\nc\nd\n", b"e", 1)
    assert packing.credit(ProgramAnswer(b"a\nx\nc\n", b"e", 2), gold) == pytest.approx(0.4 * 2 / 4 + 0.1)
    assert packing.credit(ProgramAnswer(b"", b"", 1), gold) == pytest.approx(0.1)
    assert packing.credit(ProgramAnswer(b"", b"", 0), ProgramAnswer(b"", b"e", 1)) == 0.0
