"""Reading labelled texts: every layout, and one line for every row that does not fit."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprope.errors import UsageError
from toprope_tasks.w2s.bank import texts


def lines(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_texts_with_many_concepts(tmp_path):
    """A concept that a row does not name, or gives null, does not apply; rows of one origin share a number."""
    data = texts.read(
        lines(
            tmp_path,
            {"text": "one", "labels": {"a": 1}, "origin": "x"},
            {"text": "two", "labels": {"b": 0, "a": None}},
            "",
            {"text": "three", "labels": {"b": True}, "origin": "x", "group": 7},
        )
    )
    assert (data.texts, data.concepts, data.cut) == (["one", "two", "three"], ["a", "b"], "end")
    assert data.labels.tolist() == [[1, -1, -1], [-1, 0, 1]]
    assert data.origin.tolist() == [0, 1, 0]
    assert data.groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize("concept", [None, "honest"])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [
                {"prompt": "2+2?", "answer": "4", "label": 1},
                {"prompt": "2+2?", "answer": "5", "label": 0},
                {"prompt": "3?", "answer": "4", "label": None},
            ],
            ("2+2?\n4", "correct", [1, 0, -1], [0, 0, 1], [0, 0, 1]),
        ),
        (
            [
                {"question": "2+2?", "choice": "4", "label": True, "subset": "sums", "difficulty": 1},
                {"question": "2+2?", "choice": "5", "label": False},
                {"question": "3?", "choice": "4"},
            ],
            ("Question: 2+2?\nAnswer: 4", "correct", [1, 0, -1], [0, 0, 1], [0, 0, 1]),
        ),
        (
            [
                {"prompt": "Hi", "first": "Yo", "second": "Hello", "label": "B"},
                {"prompt": "Hi", "first": "Hello", "second": "Yo", "label": "A"},
                {"prompt": "Ho", "first": "Hello", "second": "Yo", "label": -1},
            ],
            ("Question: Hi\nAnswer A: Yo\nAnswer B: Hello", "second answer better", [1, 0, -1], [0, 0, 1], None),
        ),
    ],
    ids=["answers", "researcher's choices", "researcher's comparisons"],
)
def test_layouts_with_one_label(tmp_path, rows, expected, concept):
    """One concept, named by --concept. Rows of one prompt share an origin; answers to it are a group. The start of a
    text that is too long is left out, because the answer stands at its end."""
    text, name, labels, origin, groups = expected
    data = texts.read(lines(tmp_path, *rows), concept)
    assert (data.texts[0], data.concepts, data.cut) == (text, [concept or name], "start")
    assert data.labels.tolist() == [labels]
    assert data.origin.tolist() == origin
    assert (data.groups if data.groups is None else data.groups.tolist()) == groups


GOOD = {"text": "one", "labels": {"a": 1}}
ASKED = {"prompt": "p", "answer": "a", "label": 1}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no rows; expected JSONL"),
        ([GOOD, "{"], "rows.jsonl, line 2: '{' is not JSON"),
        ([GOOD, "[1]"], "rows.jsonl, line 2: [1]; expected an object"),
        ([{"words": "x"}], "line 1: fields 'words'; expected text or prompt+answer"),
        ([GOOD, ASKED], "line 2: text is None; expected text that is not empty, as in the first row"),
        ([{"text": "  ", "labels": {}}], "line 1: text is ''; expected text"),
        ([{"text": ["x" * 90], "labels": {}}], "xx...; expected text"),
        ([GOOD, {"text": "x"}], "line 2: labels is None; expected an object"),
        ([{"text": "x", "labels": {"a": 2}}], "line 1: labels['a'] is 2; expected 0, 1 or null"),
        ([{"text": "x", "labels": {"a": "1"}}], "labels['a'] is '1'; expected 0, 1 or null"),
        ([{"text": "x", "labels": {"a": 1.0}}], "labels['a'] is 1.0; expected 0, 1 or null"),
        ([{"text": "x", "labels": {}}], "names no concept"),
        ([{**GOOD, "origin": 1.5}], "line 1: origin is 1.5; expected text or a whole number"),
        ([{**GOOD, "group": True}], "line 1: group is True; expected text or a whole number"),
        ([ASKED, {**ASKED, "label": "A"}], "line 2: label is 'A'; expected 0, 1, true, false or null"),
        ([{**ASKED, "label": [1]}], "label is [1]; expected"),
        ([{"prompt": "p", "first": "a", "second": "b", "label": "C"}], 'label is \'C\'; expected "A", "B", 0, 1'),
    ],
)
def test_a_row_that_does_not_fit_is_one_line(tmp_path, rows, words):
    """The message names file, line, field, value and what was expected."""
    with pytest.raises(UsageError) as caught:
        texts.read(lines(tmp_path, *rows))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read .*; expected a JSONL file"):
        texts.read(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    with pytest.raises(UsageError, match=r"latin.jsonl, line 1: .* is not JSON in UTF-8"):
        texts.read(tmp_path / "latin.jsonl")


def test_concepts_that_are_named_twice(tmp_path):
    with pytest.raises(UsageError, match=r"--concept 'a': the rows of .* name their concepts"):
        texts.read(lines(tmp_path, GOOD), "a")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | st.builds(lambda x: json.dumps(x).encode(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["text", "labels", "prompt", "answer", "label", "origin", "group", "a"]), inner),
)), max_size=4))  # fmt: skip
def test_no_file_ends_in_a_traceback(tmp_path_factory, rows):
    """Whatever stands in a file, reading it gives texts or one line."""
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_bytes(b"\n".join(rows))
    try:
        data = texts.read(path)
    except UsageError as e:
        assert len(str(e).splitlines()) == 1  # noqa: PT017
    else:
        assert data.labels.shape == (len(data.concepts), len(data.texts))
        assert np.isin(data.labels, (-1, 0, 1)).all()
