"""A run's experiments as columns, CSV and Parquet: what the JSON export says of them, however hostile its text."""

import builtins
import csv
import io
import json

import histories
import msgspec
import numpy as np
import pytest
from test_history import OPENING, block
from test_history import history as of
from test_large import long_run

from toprope.errors import UsageError
from toprope.journal import columns, tables
from toprope.journal.export import decided, export
from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.journal.records import Author, Generation
from toprope.space import Space, choice, linear
from toprope.types import Candidate, Tree

WORDS = [
    "=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "'quoted", "''", "\t=1", "\r\n=1\n", "＝1", 'a "b", c;d', "\\",
    "\\n", "\x1b[31m\x07\x00\x9b", "\u202eevil\u2066", "é — 字", "", " ", "=", "\\'", "1e5", histories.EVIL,
]  # fmt: skip
SPACE = Space(
    [
        choice("text", WORDS), linear("size", 0.0, 1.0, 11, 0.5), choice("count", [1, 20, -3]),
        choice("flag", [True, False]), choice("mixed", [None, -1, "x", [1, {"b": 2, "a": 1}]]), choice("=h,\n", [0]),
    ]
)  # fmt: skip


@pytest.fixture
def odd() -> RunHistory:
    """Points of a space with every kind of level, each failing with a text of its own; and a killed run's last part."""
    space = msgspec.structs.replace(OPENING, space=SPACE)
    blocks: list[object] = []
    for i, words in enumerate(WORDS):
        row = np.array([[i, i % 11, i % 3, i % 2, i % 4, 0]], np.uint8)
        here = {"id": f"{i}.0.2", "experiments": np.array([i], np.uint32), "rows": row}
        if i % 2:
            here |= {"outcomes": {0: "crash"}, "messages": {0: words}, "scores": np.full((1, 2), np.nan, np.float32)}
        blocks.append(block(0, 2, **here))
        if i == 11:
            blocks.append(Generation(0, 12, 1.0, 0.5, 0, 0, 0))
    for experiment, lo in ((20, 2), (18, 3)):  # the second one after a gap
        later = {"experiments": np.array([experiment], np.uint32), "rows": np.zeros((0, 6), np.uint8)}
        blocks.append(block(lo, lo + 1, id=f"{experiment}.{lo}", **later))
    return of(*blocks, opening=space)


@pytest.fixture
def authored(odd) -> RunHistory:
    """Candidates of authors, with parameters of any name."""
    made = [Candidate(Tree({"solution.py": b"x"}), {words: i}) for i, words in enumerate(WORDS)]
    blocks = [
        block(
            0,
            2,
            id=f"{i}.0.2",
            experiments=np.array([i], np.uint32),
            author=Author(words if words and words.isprintable() else "ada", made[i], made[0].id),
        )
        for i, words in enumerate(WORDS)
    ]
    return of(*blocks)


def expected(s: RunHistory) -> list[dict]:
    return export(s)["experiments"]


def test_the_columns_say_what_the_export_says(odd):
    """Row by row: candidate, parameters, outcome, message, draws, and a dev value made of the same scores."""
    found, rows = odd.frame("dict"), expected(odd)
    assert found["experiment"].tolist() == [r["experiment"] for r in rows]
    assert found["generation"].tolist() == [0] * 12 + [columns.AFTER] * 9
    assert found["candidate"].tolist() == [r["candidate"] for r in rows], "the ids of types.candidate_id"
    assert found["outcome"].tolist() == [r["outcome"] for r in rows]
    assert found["message"].tolist() == [r.get("message", "") for r in rows]
    assert found["draws"].tolist() == [len(r["scores"]) for r in rows]
    for i, r in enumerate(rows):
        assert found["dev"][i] == pytest.approx(np.mean(r["scores"]) if r["outcome"] == "ok" else np.nan, nan_ok=True)
        said = {d.name: found[f"params_{d.name}"][i] for d in SPACE.dims}
        said["mixed"] = json.loads(said["mixed"])
        assert said == r["params"]
    kinds = [found[f"params_{d.name}"].dtype.kind for d in SPACE.dims]
    assert kinds == ["O", "f", "i", "b", "O", "i"]
    assert {len(x) for x in found.values()} == {len(rows)}


def test_cpu_seconds_add_up(tmp_path):
    """What blocks cost is divided among their experiments, and nothing is lost."""
    long_run(tmp_path, 3, 10)
    s = read(tmp_path)
    assert s.frame("dict")["cpu_s"].sum() == pytest.approx(s.cpu_seconds)


def test_authors_bring_parameters_of_their_own(authored):
    """They are one JSON object, so no author can name or add a column."""
    found, rows = authored.frame("dict"), expected(authored)
    assert not any(name.startswith("params_") for name in found)
    assert [json.loads(x) for x in found["params"]] == [r["params"] for r in rows]
    for name in ("candidate", "author", "parent"):
        assert found[name].tolist() == [r[name] for r in rows]


def test_frames_of_either_library(odd, monkeypatch):
    """The same values and kinds; by default the first library that is installed."""
    import pandas
    import polars

    plain, ours, theirs = odd.frame("dict"), odd.frame("pandas"), odd.frame("polars")
    assert isinstance(ours, pandas.DataFrame)
    assert isinstance(theirs, polars.DataFrame)
    assert type(odd.frame()) is pandas.DataFrame
    for name, x in plain.items():
        wanted = pytest.approx(x.tolist(), nan_ok=True) if x.dtype.kind == "f" else x.tolist()
        assert ours[name].tolist() == wanted
        assert theirs[name].to_list() == wanted
    assert theirs.schema["params_text"] == polars.String
    monkeypatch.setattr(columns, "find_spec", lambda name: None)
    assert type(odd.frame()) is dict
    monkeypatch.setattr(columns, "import_module", lambda name: builtins.__import__("no_such_" + name))
    with pytest.raises(UsageError, match=r"needs polars .* `pip install polars`"):
        odd.frame("polars")
    with pytest.raises(UsageError, match="expected pandas, polars or dict"):
        odd.frame("excel")


def test_a_run_without_experiments_has_columns(tmp_path):
    """Of length zero, in every form."""
    from pyarrow import parquet

    s = of()
    assert {len(x) for x in s.frame("dict").values()} == {0}
    assert len("".join(tables.as_csv(s)).splitlines()) == 1
    tables.write_parquet(s, tmp_path / "x.parquet")
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 0


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("words", WORDS)
def test_text_in_a_cell_is_harmless_and_comes_back(words):
    """No line break, no control character, nothing that a spreadsheet calculates; and nothing is lost."""
    cell = tables.guarded(words)
    assert cell.isprintable()
    assert not cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert tables.unguarded(cell) == words


@pytest.mark.parametrize("story", ["odd", "authored"])
def test_csv_comes_back_as_it_was(story, request):
    """One line an experiment, read by the standard library; text, numbers, truth values and scores are the export's."""
    s = request.getfixturevalue(story)
    text, rows, found = "".join(tables.as_csv(s)), expected(s), s.frame("dict")
    assert text.count("\n") == len(rows) + 1
    table = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    names = [name for name in found if name != "cpu_s"]
    assert [tables.unguarded(name) for name in table[0]] == [*names, "scores"]
    for cells, r in zip(table, rows, strict=True):
        assert json.loads(cells["scores"]) == r["scores"]
    for name in names:
        x, written = found[name], [row[tables.guarded(name)] for row in table]
        if x.dtype.kind == "O":
            assert [tables.unguarded(c) for c in written] == x.tolist()
        elif x.dtype.kind == "b":
            assert [c == "true" for c in written] == x.tolist()
        else:
            assert [float(c or "nan") for c in written] == pytest.approx(x.tolist(), abs=0, nan_ok=True)


@pytest.mark.parametrize("story", ["odd", "authored"])
def test_parquet_comes_back_as_it_was(story, request, tmp_path, monkeypatch):
    """The same in several row groups, with what else the run decided in the file's metadata."""
    from pyarrow import parquet

    s = request.getfixturevalue(story)
    monkeypatch.setattr(tables, "GROUP", 5)
    tables.write_parquet(s, tmp_path / "run.parquet")
    table, rows, found = parquet.read_table(tmp_path / "run.parquet"), expected(s), s.frame("dict")
    assert [np.round(x, 6).tolist() for x in table["scores"].to_pylist()] == [r["scores"] for r in rows]
    assert table.column_names == [*(name for name in found if name != "cpu_s"), "scores"]
    for name in table.column_names[:-1]:
        wanted = [None if x != x else x for x in found[name].tolist()]
        assert table[name].to_pylist() == wanted
    assert json.loads(table.schema.metadata[b"toprope"]) == decided(s)


def test_parquet_says_what_it_needs(odd, tmp_path, monkeypatch):
    """Without pyarrow: the extra by name, and no file."""
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("pyarrow"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"needs the extra \[parquet\] .*pip install 'toprope\[parquet\]'"):
        tables.write_parquet(odd, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_tables_of_a_long_run_are_written_in_pieces(tmp_path):
    """No piece of the CSV holds more than one barrier's experiments."""
    long_run(tmp_path, 30, 40)
    s = read(tmp_path)
    pieces = list(tables.as_csv(s))
    assert "".join(pieces).count("\n") == 1201
    assert max(piece.count("\n") for piece in pieces) == 41
