"""The experiments of a run as CSV and as Parquet: the columns of `RunHistory.frame` and the scores, without times.

Both are written part by part, so no run is too long for memory. Text of candidates and authors is hostile. In CSV it
stays on its line, cannot move a terminal's cursor, and a spreadsheet does not take it for a formula; the way back is
`unguarded`. Parquet keeps text as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.journal.columns import TEXT, Part
from toprope.journal.export import decided
from toprope.journal.history import RunHistory

FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # begin a formula in some spreadsheet
GROUP = 1 << 16  # experiments in a row group of a Parquet file, at least
UNTIMED = "cpu_s"  # the one column that differs from run to run


def guarded(words: str) -> str:
    """Text for a cell: what cannot be printed, and backslashes, as in a Python string; an apostrophe before text that
    may begin a formula, or that begins with an apostrophe."""
    line = words
    if "\\" in words or not words.isprintable():
        line = "".join("\\\\" if c == "\\" else c if c.isprintable() else repr(c)[1:-1] for c in words)
    return "'" + line if line.startswith(FORMULA) else line


def unguarded(cell: str) -> str:
    """The text that `guarded` made the cell of."""
    return cell.removeprefix("'").encode("latin-1", "backslashreplace").decode("unicode_escape")


def as_csv(s: RunHistory) -> Iterator[str]:
    """CSV: a head, then one line an experiment. An empty cell stands for NaN; `scores` is a JSON list."""
    for i, part in enumerate(s.parts()):
        columns = {name: _cells(x) for name, x in part.columns.items() if name != UNTIMED}
        columns["scores"] = list(map(str, _seen(part)))  # finite numbers: a list in Python is one in JSON
        page = io.StringIO()
        writer = csv.writer(page, lineterminator="\n")
        if i == 0:
            writer.writerow(map(guarded, columns))
        writer.writerows(zip(*columns.values(), strict=True))
        yield page.getvalue()


def _cells(x: NDArray[Any]) -> list[str]:
    if x.dtype == TEXT:
        return [guarded(words) for words in x]
    if x.dtype == np.bool_:
        return ["true" if value else "false" for value in x]
    return ["" if value != value else repr(value) for value in x.tolist()]


def _seen(part: Part) -> list[list[float]]:
    """The scores of each experiment on the draws that it has seen, in turn, rounded as in the JSON export."""
    rows = _in_turn(part).astype(np.float64).round(6).tolist()
    return [row[:n] for row, n in zip(rows, part.columns["draws"].tolist(), strict=True)]


def _in_turn(part: Part) -> NDArray[np.float32]:
    """(n, draws) scores from each experiment's first draw on."""
    draws = part.scores.shape[1]
    order = (part.columns["first_draw"][:, None] + np.arange(draws)) % draws
    return np.take_along_axis(part.scores, order, axis=1)


def write_parquet(s: RunHistory, path: Path) -> None:
    """Writes a Parquet file: NaN is null, `scores` a list of float32. The file's metadata hold under "toprope" what the
    run decided besides its experiments, as JSON. Raises UsageError without pyarrow, OSError for a file that cannot be
    written."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as e:
        raise UsageError(
            f"--format parquet needs the extra [parquet] ({e}); `pip install 'toprope[parquet]'`, or --format csv"
        ) from e

    def table(some: list[Part]) -> Any:
        names = [name for name in some[0].columns if name != UNTIMED]
        columns = [np.concatenate([part.columns[name] for part in some]) for name in names]
        arrays = [pa.array(x, pa.string() if x.dtype == TEXT else None, from_pandas=True) for x in columns]
        draws, scores = columns[names.index("draws")], np.concatenate([_in_turn(part) for part in some])
        values = pa.array(scores[np.arange(scores.shape[1]) < draws[:, None]])
        ends = pa.array(np.concatenate([[0], np.cumsum(draws)]).astype(np.int32))
        return pa.table([*arrays, pa.ListArray.from_arrays(ends, values)], names=[*names, "scores"])

    with path.open("wb") as file:
        writer, held = None, list[Part]()
        for part in s.parts():  # the first one tells the schema
            held.append(part)
            if writer is None:
                schema = table(held).schema.with_metadata({"toprope": json.dumps(decided(s), allow_nan=False)})
                writer = parquet.ParquetWriter(file, schema, compression="zstd")
            if sum(len(p.scores) for p in held) >= GROUP:
                writer.write_table(table(held))
                held = []
        assert writer is not None, "by_barrier ends with a part"
        if held:
            writer.write_table(table(held))
        writer.close()
