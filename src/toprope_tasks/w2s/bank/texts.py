"""Reads the texts and labels that a bank is made of, from JSONL. One layout to a file:

    {"text": ..., "labels": {CONCEPT: 0, 1 or null}}      many concepts; null or left out: does not apply
    {"prompt": ..., "answer": ..., "label": 0 or 1}       one concept; answers to one prompt form a group
    {"question": ..., "choice": ..., "label": true}       the same (Automated Researcher: mathematics, code)
    {"prompt": ..., "first": ..., "second": ..., "label": "A"}   one concept: is the second better (there: chat)

`origin` and `group` (text or a number) may stand in any row, other fields are ignored. The layouts of the Automated
Researcher's data and the words around a question are those of `w2s_research/core/data.py` in
github.com/safety-research/automated-w2s-research; a label of -1 or none there means that it is withheld.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError

Row = dict[str, Any]


class Texts(NamedTuple):
    """N texts. labels: (C, N), 1, 0 or -1. origin: (N,), rows of one origin share a number. groups: (N,), or None.
    cut: which end of a text that is too long for a model is left out; an answer stands at the end."""

    texts: list[str]
    concepts: list[str]
    labels: NDArray[np.int8]
    origin: NDArray[np.int32]
    groups: NDArray[np.int32] | None
    cut: Literal["start", "end"]


class Layout(NamedTuple):
    """fields: those that make the text of a row, by `form`. values: what a label may be -> 1, 0 or -1. concept: the
    name of the only concept. One prompt (its first field) is one origin and, if `grouped`, one group."""

    fields: tuple[str, ...]
    form: str
    values: dict[Any, int]
    concept: str
    grouped: bool


BITS = {0: 0, 1: 1, None: -1, -1: -1}  # False == 0 and True == 1
LAYOUTS = (
    Layout(("text",), "{text}", {}, "", False),
    Layout(("prompt", "answer"), "{prompt}\n{answer}", BITS, "correct", True),
    Layout(("question", "choice"), "Question: {question}\nAnswer: {choice}", BITS, "correct", True),
    Layout(
        ("prompt", "first", "second"),
        "Question: {prompt}\nAnswer A: {first}\nAnswer B: {second}",
        {"A": 0, "B": 1, **BITS},
        "second answer better",
        False,
    ),
)


def read(path: Path, concept: str | None = None) -> Texts:
    """The texts of a JSONL file, in its order. concept: the name of the only concept of rows that have a `label`.

    Raises UsageError naming file, line, field, value and what was expected.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise UsageError(f"{str(path)!r} holds no rows; expected JSONL, one object a line")
    layout = _layout(*first)
    if layout.form == "{text}" and concept is not None:
        raise UsageError(f"--concept {concept!r}: the rows of {str(path)!r} name their concepts under `labels`")
    names = {} if layout.form == "{text}" else {concept or layout.concept: 0}
    texts: list[str] = []
    known: list[dict[int, int]] = []
    origins: list[Any] = []
    groups: list[Any] = []
    for at, row in (first, *lines):
        parts = {field: _text(at, row, field) for field in layout.fields}
        texts.append(layout.form.format_map(parts))
        known.append(_labels(at, row, names) if layout.form == "{text}" else {0: _label(at, row, layout)})
        source = parts[layout.fields[0]]
        origins.append(_name(at, row, "origin", source))
        groups.append(_name(at, row, "group", source if layout.grouped else None))
    if not names:
        raise UsageError(f'{str(path)!r} names no concept; expected labels such as {{"is_animal": 1}} in its rows')
    labels = np.full((len(names), len(texts)), -1, np.int8)
    for i, row_labels in enumerate(known):
        for c, value in row_labels.items():
            labels[c, i] = value
    grouped = any(g is not None for g in groups)
    cut: Literal["start", "end"] = "end" if layout.form == "{text}" else "start"
    return Texts(texts, list(names), labels, _numbers(origins), _numbers(groups) if grouped else None, cut)


def _lines(path: Path) -> Iterator[tuple[str, Row]]:
    """(where, object) of each line that is not blank."""
    try:
        file = path.open("rb")
    except OSError as e:
        raise UsageError(f"--data {str(path)!r} cannot be read ({e.strerror}); expected a JSONL file") from None
    with file:
        for number, line in enumerate(file, 1):
            at = f"{path.name}, line {number}"
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
                raise UsageError(f"{at}: {_short(line.decode(errors='replace'))} is not JSON in UTF-8 ({e})") from None
            if not isinstance(row, dict):
                raise UsageError(f'{at}: {_short(row)}; expected an object such as {{"text": ..., "labels": ...}}')
            yield at, row


def _layout(at: str, row: Row) -> Layout:
    """The layout whose fields the row has; the one with most fields, as `prompt` stands in two."""
    fit = [layout for layout in LAYOUTS if all(field in row for field in layout.fields)]
    if not fit:
        ways = " or ".join("+".join(layout.fields) for layout in LAYOUTS)
        raise UsageError(f"{at}: fields {_short(', '.join(row))}; expected {ways}")
    return max(fit, key=lambda layout: len(layout.fields))


def _text(at: str, row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{at}: {field} is {_short(value)}; expected text that is not empty, as in the first row")
    return value


def _labels(at: str, row: Row, names: dict[str, int]) -> dict[int, int]:
    """Number of a concept -> 1, 0 or -1. A name not met before is given the next number."""
    given = row.get("labels")
    if not isinstance(given, dict):
        raise UsageError(f'{at}: labels is {_short(given)}; expected an object such as {{"is_animal": 1}}')
    found = {}
    for name, value in given.items():
        if isinstance(value, (str, float, dict, list)) or value not in BITS:
            raise UsageError(f"{at}: labels[{_short(name)}] is {_short(value)}; expected 0, 1 or null")
        found[names.setdefault(name, len(names))] = BITS[value]
    return found


def _label(at: str, row: Row, layout: Layout) -> int:
    value = row.get("label")
    if isinstance(value, (float, dict, list)) or value not in layout.values:
        letters = '"A", "B", ' if "A" in layout.values else ""
        raise UsageError(f"{at}: label is {_short(value)}; expected {letters}0, 1, true, false or null")
    return layout.values[value]


def _name(at: str, row: Row, field: str, default: Any) -> Any:
    value = row.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UsageError(f"{at}: {field} is {_short(value)}; expected text or a whole number")
    return (field, value)  # so that an origin named like another row's text stays apart from it


def _numbers(names: list[Any]) -> NDArray[np.int32]:
    """Equal names -> equal numbers, in order of appearance; every None is a name of its own."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(i if n is None else n, len(seen)) for i, n in enumerate(names)], np.int32)


def _short(value: Any) -> str:
    shown = repr(value.strip() if isinstance(value, str) else value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
