"""`toprope export RUN --format csv|parquet`: the experiments of the JSON export, on stdout or in a file."""

import csv
import io
import json

from pyarrow import parquet


def test_tables_hold_the_experiments_of_the_json_export(finished, cli, tmp_path):
    """As many rows, with the same candidates and scores; a file holds what stdout shows."""
    base, _ = finished
    experiments = cli.export(base / "run")["experiments"]
    printed = cli.run("export", base / "run", "--format", "csv")
    assert cli.run("export", base / "run", "--format", "csv", "-o", tmp_path / "x.csv").returncode == 0
    assert (tmp_path / "x.csv").read_bytes().decode() == printed.stdout
    rows = list(csv.DictReader(io.StringIO(printed.stdout, newline="")))
    assert [r["candidate"] for r in rows] == [e["candidate"] for e in experiments]
    assert [json.loads(r["scores"]) for r in rows] == [e["scores"] for e in experiments]
    assert cli.run("export", base / "run", "--format", "parquet", "-o", tmp_path / "x.parquet").returncode == 0
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table["candidate"].to_pylist() == [e["candidate"] for e in experiments]


def test_a_table_that_cannot_be_written(finished, cli, tmp_path):
    """One line that names the file, for both forms."""
    for form in ("csv", "parquet"):
        done = cli.run("export", finished[0] / "run", "--format", form, "-o", tmp_path / "no" / "x")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "cannot write" in done.stderr
        assert "name another file with -o" in done.stderr
